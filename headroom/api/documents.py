"""From the service's own objects to the documents of the API."""

from datetime import datetime

from domain.session import Session
from domain.setpoint import Decision, Setpoint
from domain.site import Feeder, Site
from domain.snapshot import EvseView, FeederView, SiteSnapshot
from headroom.api.models import (
    DecisionDocument,
    DecisionSummaryDocument,
    EvseDocument,
    FeederDocument,
    PhaseLoad,
    SessionDocument,
    SetpointDocument,
    SiteDocument,
    SiteSummary,
)
from headroom.control_loop import SiteController
from inventory.queries import DecisionSummary
from inventory.records import session_id


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
    return SiteDocument(
        **site_summary(site).model_dump(),
        accept_unproven_failsafe=site.accept_unproven_failsafe,
        feeders=[_feeder(controller, feeder, snapshot) for feeder in site.feeders],
    )


def _feeder(controller: SiteController, feeder: Feeder, snapshot: SiteSnapshot) -> FeederDocument:
    view: FeederView = snapshot.feeders[feeder.id]
    ev_a = controller.counted_load_a(feeder.id, snapshot)
    phases = {}
    for phase in feeder.phases:
        base_a = view.base_likely_a.get(phase, 0.0)
        phases[phase] = PhaseLoad(
            rating_a=feeder.rating_a,
            usable_a=feeder.usable_a,
            base_load_a=round(base_a, 2),
            ev_a=round(ev_a.get(phase, 0.0), 2),
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
    return SessionDocument(
        id=session_id(session),
        evse=session.evse,
        transaction_id=session.transaction_id,
        started_at=session.started_at,
        ended_at=session.ended_at,
        energy_kwh=round(session.energy_wh / 1000, 3),
    )


def evse_document(controller: SiteController, view: EvseView, now: datetime) -> EvseDocument:
    """One EVSE as it is now, and why."""
    evse = controller.site.evse(view.evse)
    setpoint = controller.latest_setpoint(view.evse)
    reason = None if setpoint is None else setpoint.reason
    return EvseDocument(
        id=evse.id,
        charger=evse.charger,
        connector=evse.connector,
        feeder=evse.feeder,
        phases=list(evse.phases),
        version=controller.version(evse.charger),
        state=view.state,
        linked=view.linked,
        session=None if view.session is None else session_document(view.session),
        setpoint_a=None if setpoint is None else setpoint.limit_a,
        target_a=None if setpoint is None else setpoint.target_a,
        in_force_a=view.ledger.limit_a,
        counted_a=round(controller.counted_a(view, now), 2),
        confirmed=view.ledger.settled,
        trusted=view.ledger.trusted,
        measured_a=view.ledger.measured_a,
        measured_at=view.ledger.measured_at,
        reason=None if reason is None else reason.text,
        reason_kind=None if reason is None else reason.kind,
        next_turn_at=None if reason is None else reason.next_turn_at,
    )


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


def decision_document(decision: Decision) -> DecisionDocument:
    """Everything that was decided at one instant."""
    return DecisionDocument(
        **decision_summary(decision).model_dump(),
        alarms=[alarm.text for alarm in decision.alarms],
        setpoints=[setpoint_document(setpoint) for setpoint in decision.setpoints],
    )
