"""When the wiring test keeps its hands off: full panels, memories that wear, limits for a while."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from domain.ids import ChargerId, DecisionId, EvseId, FeederId, MeterId, SiteId
from domain.ledger import LedgerEntry
from domain.quirks import Quirks
from domain.rotation import RotationState
from domain.session import EvseState, Session
from domain.setpoint import Decision, Reason, ReasonKind, Rung, Setpoint
from domain.site import PHASES, Charger, ControlSettings, CsmsSettings, Evse, Feeder, Meter, Site
from domain.snapshot import EvseView, FeederView, LoadSource, SiteSnapshot, TemporaryLimit
from headroom.phase_probe import PhaseProbe

NOW = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)
MAIN, SUB, E1 = FeederId("main"), FeederId("sub"), EvseId("E1")
EVSE = Evse(E1, ChargerId("CP1"), 1, SUB, PHASES[:2])
SITE = Site(
    id=SiteId("s"),
    timezone="UTC",
    csms=CsmsSettings("ws://127.0.0.1:9100/ocpp"),
    feeders=(Feeder(MAIN, 100.0, meter=MeterId("m")), Feeder(SUB, 50.0, parent=MAIN)),
    chargers=(Charger(EVSE.charger, (EVSE,)),),
    meters=(Meter(MeterId("m")),),
    control=ControlSettings(phase_detection=True),
)
ENTRY = LedgerEntry(20.0, 20.0, sent_at=NOW, acknowledged_at=NOW, settled_at=NOW, measured_a=20.0, measured_at=NOW)
VIEW = EvseView(E1, EvseState.CHARGING, True, Session(E1, "T1", NOW), ENTRY)


def snapshot(view: EvseView = VIEW, *limits: TemporaryLimit) -> SiteSnapshot:
    load_a = dict.fromkeys(PHASES, 50.0)
    main = FeederView(MAIN, load_a, load_a, metered_a=load_a, source=LoadSource.MEASURED, reading_at=NOW)
    return SiteSnapshot(SITE, NOW, {E1: view}, {MAIN: main, SUB: FeederView(SUB)}, limits=limits)


def decision(feeder: FeederId | None) -> Decision:
    kind = ReasonKind.GRANTED if feeder is None else ReasonKind.FEEDER_FULL
    point = Setpoint(E1, 20.0, 20.0, Reason(kind, feeder))
    return Decision(DecisionId("d"), NOW, "test", (point,), Rung.STRATEGY, "", "milp", RotationState())


def stepped(probe: PhaseProbe, seen: SiteSnapshot) -> bool:
    """Whether an attempt is under way after a look: its first plateau is high, so patience ends it or not."""
    probe.look(seen)
    return probe.look(replace(seen, at=NOW + timedelta(hours=1))) is not None


def test_an_evse_with_room_is_tried() -> None:
    assert stepped(PhaseProbe(SITE), snapshot())


def test_a_panel_without_a_meter_that_the_newest_decision_calls_full_is_left_alone() -> None:
    probe = PhaseProbe(SITE)
    probe.marked(decision(SUB))
    assert not stepped(probe, snapshot())
    probe.marked(decision(None))
    assert stepped(probe, snapshot())


def test_an_attempt_ends_when_a_panel_of_its_path_gets_full() -> None:
    probe = PhaseProbe(SITE)
    probe.look(snapshot())
    probe.marked(decision(SUB))
    assert probe.look(snapshot()) is not None


def test_a_memory_that_bears_few_writes_is_spared() -> None:
    assert not stepped(PhaseProbe(SITE), snapshot(replace(VIEW, quirks=Quirks(write_budget_per_day=96))))
    assert stepped(PhaseProbe(SITE), snapshot(replace(VIEW, quirks=Quirks(write_budget_per_day=5000))))


def test_near_a_limit_for_a_while_nothing_is_tried() -> None:
    limit = TemporaryLimit("l", MAIN, 60.0, NOW - timedelta(hours=1), NOW + timedelta(hours=1), "grid")
    assert not stepped(PhaseProbe(SITE), snapshot(VIEW, limit))
    assert stepped(PhaseProbe(SITE), snapshot(VIEW, replace(limit, ends_at=NOW)))
