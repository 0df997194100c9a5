"""Prometheus metrics, read from the running service at scrape: nothing is counted twice, nothing costs between scrapes.

Names are a contract: dashboards and alert rules in `deploy/` and of others depend on them.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from domain.setpoint import AlarmKind, Rung
from headroom.control_loop import SiteController
from headroom.loading import counted_loads_a
from headroom.service import Service
from headroom.statistics import Latencies

_EVSE = ("site", "evse")
_FEEDER = ("site", "feeder", "phase")
_PROXY_COUNTS = (
    "malformed",
    "unknown_type",
    "unmatched",
    "swallowed",
    "timed_out",
    "gave_up",
    "bounced",
    "overflow",
    "dropped",
    "answered",
    "rewritten",
    "undecided",
    "refused",
    "desk_errors",
)
_DOOR = ("failed_proof", "not_allowed", "held_up", "overtaken", "sent_back", "throttled")
_OUTAGE_COUNTS = (
    "csms_lost",
    "admitted_without_csms",
    "held",
    "replayed",
    "set_aside",
    "starts_in_doubt",
    "spool_errors",
)
_HANDSHAKE_COUNTS = ("connected", "replaced", "no_common_version", "refused_by_csms", "csms_unreachable")
_DOOR_COUNTS = ("failed_proof", "not_allowed", "held_up", "overtaken", "sent_back", "throttled")


async def exposition(service: Service, sites: Collection[str] | None) -> tuple[bytes, str]:
    """The metrics of these sites (None: of all) and of the process, as text, and their media type.

    They are read at once and written out in a thread: with many EVSEs that would hold up frames.
    """
    registry = CollectorRegistry()
    for make in (ProcessCollector, PlatformCollector, GCCollector):
        make(registry=registry)
    registry.register(_Read(tuple(_ServiceCollector(service, sites).collect())))
    return await asyncio.to_thread(generate_latest, registry), CONTENT_TYPE_PLAIN_0_0_4


class _Read(Collector):
    """Metrics that were read."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


class _ServiceCollector:
    def __init__(self, service: Service, sites: Collection[str] | None) -> None:
        self._service = service
        self._controllers = [one for name, one in service.controllers.items() if sites is None or name in sites]

    def collect(self) -> Iterator[Metric]:
        now = self._service.clock.now()
        yield from _proxy(self._service)
        yield from _store(self._service)
        yield from _decisions(self._controllers, now)
        yield from _loading(self._controllers, now)
        yield from _staleness(self._controllers, now)
        yield from _evses(self._controllers, now)
        yield from _alarms(self._controllers)
        yield _notifications(self._service)
        yield from self._service.more_metrics()
        ready = GaugeMetricFamily("headroom_ready", "1 where /readyz is 200.")
        ready.add_metric([], 0.0 if self._service.missing() else 1.0)
        yield ready


def _proxy(service: Service) -> Iterator[Metric]:
    counters = service.proxy.counters
    links = GaugeMetricFamily("headroom_links", "Chargers that are linked to their CSMS now.", labels=["version"])
    for version, count in sorted(Counter(link.version for link in service.proxy.links.values()).items()):
        links.add_metric([version], count)
    yield links
    frames = CounterMetricFamily("headroom_frames", "Frames relayed unchanged.", labels=["direction"])
    frames.add_metric(["to_csms"], counters.to_csms)
    frames.add_metric(["to_charger"], counters.to_charger)
    yield frames
    ours = CounterMetricFamily("headroom_frames_injected", "Frames of our own.", labels=["direction"])
    ours.add_metric(["to_csms"], counters.injected_up)
    ours.add_metric(["to_charger"], counters.injected)
    yield ours
    yield _kinds(
        "headroom_relay_events", "What the relay met, by kind (proxy.settings.Counters).", counters, _PROXY_COUNTS
    )
    yield _kinds("headroom_outage_events", "What was done while a CSMS was away, by kind.", counters, _OUTAGE_COUNTS)
    handshakes = _kinds("headroom_handshakes", "How chargers' handshakes went, by kind.", counters, _HANDSHAKE_COUNTS)
    for kind in _DOOR_COUNTS:
        handshakes.add_metric([kind], getattr(service.proxy.door.counters, kind))
    yield handshakes
    waiting = GaugeMetricFamily("headroom_chargers_waiting", "Chargers that wait for their turn to be let in.")
    waiting.add_metric([], service.proxy.door.waiting)
    yield waiting
    relay = counters.relay_latency
    total = list(accumulate(relay.counts))
    buckets = [*((str(bound), count) for bound, count in zip(relay.BOUNDS_S, total, strict=False)), ("+Inf", total[-1])]
    yield HistogramMetricFamily(
        "headroom_relay_seconds",
        "From a frame's arrival in the process to its being written on the other side.",
        buckets=buckets,
        sum_value=relay.sum_s,
    )


def _kinds(name: str, text: str, counters: object, kinds: Sequence[str]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=["kind"])
    for kind in kinds:
        family.add_metric([kind], getattr(counters, kind))
    return family


def _store(service: Service) -> Iterator[Metric]:
    counts = service.store.counts
    yield CounterMetricFamily("headroom_store_records", "Records written to the database.", value=counts.written)
    yield CounterMetricFamily(
        "headroom_store_failures", "Batches that the database did not take.", value=counts.failures
    )
    lost = CounterMetricFamily("headroom_store_lost", "Records given up, by why.", labels=["why"])
    for why in ("rejected", "dropped_samples", "dropped_history"):
        lost.add_metric([why], getattr(counts, why))
    yield lost


def _decisions(controllers: Sequence[SiteController], now: datetime) -> Iterator[Metric]:
    rungs = CounterMetricFamily("headroom_decisions", "Decisions, by the rung that answered.", labels=["site", "rung"])
    points = CounterMetricFamily("headroom_setpoints", "Limits, by what became of them.", labels=["site", "result"])
    turns = CounterMetricFamily("headroom_rotations", "Turns that passed from one EVSE to another.", labels=["site"])
    thought = SummaryMetricFamily("headroom_decision_seconds", "How long decisions took.", labels=["site"])
    start = SummaryMetricFamily(
        "headroom_start_to_limit_seconds", "From a transaction's start to its decision's first limit.", labels=["site"]
    )
    slow = GaugeMetricFamily("headroom_decision_p99_seconds", "p99 of the newest decisions.", labels=["site"])
    age = GaugeMetricFamily("headroom_decision_age_seconds", "Since the newest decision.", labels=["site"])
    info = InfoMetricFamily("headroom_site", "How a site is run.", labels=["site"])
    for one in controllers:
        site, counted = one.site.id, one.statistics
        for rung in Rung:
            rungs.add_metric([site, rung], counted.decisions_by_rung.get(rung, 0))
        for result in ("sent", "accepted", "refused"):
            points.add_metric([site, result], getattr(counted, f"setpoints_{result}"))
        turns.add_metric([site], counted.rotations)
        _summed(thought, site, counted.decision_ms)
        _summed(start, site, counted.start_to_limit_ms)
        worst_ms = counted.decision_ms.summary()["p99"]
        if worst_ms is not None:
            slow.add_metric([site], worst_ms / 1000)
        if one.latest is not None:
            age.add_metric([site], (now - one.latest.at).total_seconds())
        info.add_metric([site], {"strategy": one.site.strategy, "scheduler": one.site.scheduler.kind})
    yield from (rungs, points, turns, thought, start, slow, age, info)


def _summed(family: SummaryMetricFamily, site: str, latencies: Latencies) -> None:
    family.add_metric([site], latencies.count, latencies.total_ms / 1000)


def _loading(controllers: Sequence[SiteController], now: datetime) -> Iterator[Metric]:
    gauges = {
        name: GaugeMetricFamily(f"headroom_feeder_{name}_amperes", text, labels=_FEEDER)
        for name, text in (
            ("rating", "The feeder's rating."),
            ("usable", "What continuous load may use, temporary limits not counted."),
            ("limit", "What may be used now: usable, or a temporary limit that is lower."),
            ("base", "Load of the building itself."),
            ("ev", "What the EVSEs below are counted at."),
        )
    }
    source = GaugeMetricFamily(
        "headroom_feeder_source", "1 for where the base load comes from.", labels=["site", "feeder", "source"]
    )
    for one in controllers:
        snapshot = one.snapshot(now)
        loads = counted_loads_a(snapshot)
        for feeder in one.site.feeders:
            view, ev_a = snapshot.feeders[feeder.id], loads[feeder.id]
            limits = [x.limit_a for x in snapshot.limits if x.feeder == feeder.id and x.starts_at <= now]
            source.add_metric([one.site.id, feeder.id, view.source], 1)
            for phase in feeder.phases:
                labels = [one.site.id, feeder.id, phase]
                gauges["rating"].add_metric(labels, feeder.rating_a)
                gauges["usable"].add_metric(labels, feeder.usable_a)
                gauges["limit"].add_metric(labels, min([feeder.usable_a, *limits]))
                gauges["base"].add_metric(labels, view.base_likely_a.get(phase, 0.0))
                gauges["ev"].add_metric(labels, ev_a.get(phase, 0.0))
    yield from gauges.values()
    yield source


def _staleness(controllers: Sequence[SiteController], now: datetime) -> Iterator[Metric]:
    age = GaugeMetricFamily("headroom_meter_age_seconds", "Age of a meter's newest reading.", labels=["site", "meter"])
    bound = GaugeMetricFamily(
        "headroom_meter_stale_after_seconds", "From this age on a reading is not used.", labels=["site", "meter"]
    )
    refused = CounterMetricFamily("headroom_readings_refused", "Readings that cannot be right.", labels=["site"])
    for one in controllers:
        for meter in one.site.meters:
            readings = one.picture.live.readings(meter.id)
            bound.add_metric([one.site.id, meter.id], meter.stale_after_s)
            if readings:
                age.add_metric([one.site.id, meter.id], (now - readings[-1].at).total_seconds())
        refused.add_metric([one.site.id], one.picture.live.meters.refused.total())
    yield from (age, bound, refused)


def _evses(controllers: Sequence[SiteController], now: datetime) -> Iterator[Metric]:
    states = GaugeMetricFamily("headroom_evses", "EVSEs by state.", labels=["site", "state"])
    setpoint = GaugeMetricFamily("headroom_evse_setpoint_amperes", "The newest limit sent.", labels=_EVSE)
    measured = GaugeMetricFamily("headroom_evse_current_amperes", "What an EVSE draws.", labels=_EVSE)
    unlinked = GaugeMetricFamily("headroom_evses_unlinked", "EVSEs whose charger has no link.", labels=["site"])
    unconfirmed = GaugeMetricFamily("headroom_evses_unconfirmed", "EVSEs whose limit has not settled.", labels=["site"])
    for one in controllers:
        site = one.site.id
        views = [one.picture.view(evse.id, now) for evse in one.site.evses]
        for state, count in sorted(Counter(view.state for view in views).items()):
            states.add_metric([site, state], count)
        unlinked.add_metric([site], sum(not view.linked for view in views))
        unconfirmed.add_metric([site], sum(not view.ledger.settled for view in views))
        for view in views:
            setpoint.add_metric([site, view.evse], view.ledger.limit_a)
            if view.ledger.measured_a is not None:
                measured.add_metric([site, view.evse], view.ledger.measured_a)
    yield from (states, unlinked, unconfirmed, setpoint, measured)


def _alarms(controllers: Sequence[SiteController]) -> Iterator[Metric]:
    family = GaugeMetricFamily("headroom_alarms", "Alarms that stand, by kind.", labels=["site", "kind"])
    for one in controllers:
        standing = Counter(record.alarm.kind for record in one.picture.live.alarms)
        for kind in AlarmKind:
            family.add_metric([one.site.id, kind], standing.get(kind, 0))
    yield family


def _notifications(service: Service) -> Metric:
    family = CounterMetricFamily(
        "headroom_notifications", "Messages to webhooks, by what became of them.", labels=["target", "result"]
    )
    for target, counts in service.webhooks.items():
        for result in ("delivered", "failed", "given_up"):
            family.add_metric([target, result], getattr(counts, result))
    return family
