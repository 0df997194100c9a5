"""From the service's own objects to the documents of the API."""

from datetime import datetime
from typing import Any

from domain.ids import ChargerId, MeterId
from domain.session import Session
from domain.setpoint import Decision, Setpoint
from domain.site import Feeder, PhaseAmps, Site
from domain.snapshot import EvseView, FeederView, SiteSnapshot, TemporaryLimit
from ems.capacity_gain import CapacityGain
from ems.ledger import counted_a
from headroom.api.advice import ADVICE
from headroom.api.models import (
    AlarmDocument,
    CapacityDocument,
    ChargerDocument,
    DecisionDocument,
    DecisionSummaryDocument,
    EvseDocument,
    FeederDocument,
    LimitDocument,
    MeterDocument,
    PhaseLoad,
    Reading,
    SessionDocument,
    SetpointDocument,
    SiteDocument,
    SiteSummary,
    WiringDocument,
)
from headroom.control_loop import SiteController
from headroom.loading import counted_loads_a, measured_loads_a
from inventory.queries import DecisionSummary
from inventory.records import AlarmRecord, DecisionRecord, session_id


def site_summary(site: Site) -> SiteSummary:
    """A site in a list."""
    return SiteSummary(
        id=site.id,
        timezone=site.timezone,
        chargers=len(site.chargers),
        evses=len(site.evses),
        strategy=site.strategy,
        scheduler=site.scheduler.kind,
    )


def site_document(controller: SiteController, now: datetime) -> SiteDocument:
    """A site with its panel tree, as the next decision would see it."""
    site, snapshot = controller.site, controller.snapshot(now)
    loads, measured = counted_loads_a(snapshot), measured_loads_a(snapshot)
    return SiteDocument(
        **site_summary(site).model_dump(),
        accept_unproven_failsafe=site.accept_unproven_failsafe,
        feeders=[_feeder(feeder, snapshot, loads[feeder.id], measured[feeder.id]) for feeder in site.feeders],
        capacity=capacity_document(controller.picture.capacity),
    )


def capacity_document(gain: CapacityGain) -> CapacityDocument:
    """What the phasor form and turns add."""
    return CapacityDocument(
        arithmetic_kw=round(gain.arithmetic_kw, 3),
        phasor_kw=round(gain.phasor_kw, 3),
        phasor_gain_frac=round(gain.gain_frac, 4),
        evses=gain.evses,
        at_once=gain.at_once,
        rotation_gain_frac=round(gain.rotation_gain_frac, 4),
    )


def _feeder(feeder: Feeder, snapshot: SiteSnapshot, ev_a: PhaseAmps, measured_a: PhaseAmps) -> FeederDocument:
    view: FeederView = snapshot.feeders[feeder.id]
    phases = {}
    for phase in feeder.phases:
        base_a = view.base_likely_a.get(phase, 0.0)
        phases[phase] = PhaseLoad(
            rating_a=feeder.rating_a,
            usable_a=feeder.usable_a,
            base_load_a=round(base_a, 2),
            planned_base_a=round(view.planned_a(phase), 2),
            ev_a=round(ev_a.get(phase, 0.0), 2),
            ev_measured_a=round(measured_a.get(phase, 0.0), 2),
            headroom_a=round(feeder.usable_a - base_a - ev_a.get(phase, 0.0), 2),
        )
    return FeederDocument(
        id=feeder.id,
        parent=feeder.parent,
        meter=feeder.meter,
        source=view.source,
        reading_at=view.reading_at,
        phases=phases,
    )


def session_document(session: Session) -> SessionDocument:
    """A car's stay."""
    return SessionDocument(**_session(session))


def _session(session: Session) -> dict[str, Any]:
    return {
        "id": session_id(session),
        "evse": session.evse,
        "transaction_id": session.transaction_id,
        "started_at": session.started_at,
        "ended_at": session.ended_at,
        "energy_kwh": round(session.energy_wh / 1000, 3),
        "departure_at": session.departure_at,
        "energy_wanted_kwh": None if session.energy_wanted_wh is None else session.energy_wanted_wh / 1000,
        "priority": session.priority,
    }


def evse_document(controller: SiteController, view: EvseView, now: datetime) -> EvseDocument:
    """One EVSE as it is now, and why."""
    return EvseDocument(**evse_fields(controller, view, now))


def evse_fields(controller: SiteController, view: EvseView, now: datetime) -> dict[str, Any]:
    """The fields of an `EvseDocument`. A list of hundreds, of which all change every second, is written from these."""
    evse = controller.site.evse(view.evse)
    setpoint = controller.latest_setpoint(view.evse)
    reason = None if setpoint is None else setpoint.reason
    told = controller.picture.live.setpoint(view.evse)
    wiring = controller.wiring.found.get(view.evse)
    return {
        "id": evse.id,
        "charger": evse.charger,
        "connector": evse.connector,
        "feeder": evse.feeder,
        "phases": list(evse.phases),
        "version": controller.version(evse.charger),
        "state": view.state,
        "linked": view.linked,
        "session": None if view.session is None else _session(view.session),
        "setpoint_a": None if setpoint is None else setpoint.limit_a,
        "target_a": None if setpoint is None else setpoint.target_a,
        "in_force_a": view.ledger.limit_a,
        "counted_a": round(counted_a(view.ledger, evse, now), 2),
        "confirmed": view.ledger.settled,
        "trusted": view.ledger.trusted,
        "measured_a": view.ledger.measured_a,
        "measured_at": view.ledger.measured_at,
        "schedule_a": told.schedule_a,
        "schedule_at": told.schedule_at,
        "ignored_a": told.ignored_a,
        "ignored_at": told.ignored_at,
        "stays_paused_since": view.stays_paused_since,
        "wiring": None if wiring is None else WiringDocument.model_validate(wiring).model_dump(mode="json"),
        "reason": None if reason is None else reason.text,
        "reason_kind": None if reason is None else reason.kind,
        "reason_feeder": None if reason is None else reason.feeder,
        "reason_phase": None if reason is None else reason.phase,
        "place": None if reason is None else reason.place,
        "next_turn_at": None if reason is None else reason.next_turn_at,
    }


def setpoint_document(setpoint: Setpoint) -> SetpointDocument:
    """One EVSE's part of a decision."""
    reason = setpoint.reason
    return SetpointDocument(
        evse=setpoint.evse,
        limit_a=setpoint.limit_a,
        target_a=setpoint.target_a,
        reason=reason.text,
        reason_kind=reason.kind,
        feeder=reason.feeder,
        phase=reason.phase,
        shadow_price=reason.shadow_price,
        next_turn_at=reason.next_turn_at,
    )


def decision_summary(summary: DecisionSummary | Decision) -> DecisionSummaryDocument:
    """A decision in a list."""
    return DecisionSummaryDocument(
        id=summary.id,
        at=summary.at,
        trigger=summary.trigger,
        strategy=summary.strategy,
        rung=summary.rung,
        rung_why=summary.rung_why,
    )


def decision_document(record: DecisionRecord) -> DecisionDocument:
    """Everything that was decided at one instant, and what it looked at."""
    decision = record.decision
    return DecisionDocument(
        **decision_summary(decision).model_dump(),
        alarms=[alarm.text for alarm in decision.alarms],
        setpoints=[setpoint_document(setpoint) for setpoint in decision.setpoints],
        elapsed_ms=record.elapsed_ms,
        inputs=dict(record.inputs),
    )


def charger_document(controller: SiteController, charger: ChargerId) -> ChargerDocument:
    """What a charger has told of itself."""
    facts = controller.picture.live.charger(charger)
    return ChargerDocument(
        id=charger,
        vendor=facts.vendor,
        model=facts.model,
        firmware=facts.firmware,
        version=controller.version(charger),
        linked=facts.linked,
        link_changed_at=facts.link_changed_at,
        last_seen_at=facts.last_seen_at,
        evses=[evse.id for evse in controller.site.charger(charger).evses],
    )


def meter_document(controller: SiteController, meter: MeterId, now: datetime) -> MeterDocument:
    """A meter with its newest reading."""
    readings = controller.picture.live.readings(meter)
    newest = readings[-1] if readings else None
    age_s = None if newest is None else max(0.0, (now - newest.at).total_seconds())
    stale_after_s = controller.site.meter(meter).stale_after_s
    feeders = [feeder.id for feeder in controller.site.feeders if feeder.meter == meter]
    return MeterDocument(
        id=meter,
        feeder=feeders[0] if feeders else None,
        stale_after_s=stale_after_s,
        reading=None if newest is None else Reading(at=newest.at, current_a=dict(newest.current_a)),
        age_s=age_s,
        stale=age_s is None or age_s > stale_after_s,
    )


def _times(limit: TemporaryLimit) -> dict[str, Any]:
    """By the names that they have in JSON: one of them is a word of Python's."""
    return {"from": limit.starts_at, "until": limit.ends_at}


def limit_document(limit: TemporaryLimit, now: datetime) -> LimitDocument:
    """A temporary limit."""
    return LimitDocument(
        id=limit.id,
        feeder=limit.feeder,
        limit_a=limit.limit_a,
        **_times(limit),
        reason=limit.reason,
        author=limit.author,
        in_force=limit.starts_at <= now and (limit.ends_at is None or now < limit.ends_at),
    )


def alarm_document(record: AlarmRecord) -> AlarmDocument:
    """An alarm with the runbook's words."""
    meaning, advice = ADVICE.get(record.alarm.kind, ("", "see docs/runbook.md"))
    return AlarmDocument(
        kind=record.alarm.kind,
        subject=record.alarm.subject,
        text=record.alarm.text,
        raised_at=record.raised_at,
        cleared_at=record.cleared_at,
        meaning=meaning,
        advice=advice,
    )
