"""What a process of a fleet tells Prometheus beyond what one process alone does."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from headroom.fleet.controllers import Controllers
    from headroom.fleet.service import FleetService
    from headroom.fleet.worker import Worker


def fleet_metrics(service: "FleetService") -> Iterator[Metric]:
    """Redis, leases with their tokens, what waits, and what was fenced off."""
    yield GaugeMetricFamily("headroom_redis_up", "1 where Redis answered last.", value=float(service.reaches()))
    if service.worker is not None:
        yield from _worker(service.worker)
    if service.reigning is not None:
        yield from _controller(service.reigning)


def _worker(worker: "Worker") -> Iterator[Metric]:
    yield GaugeMetricFamily("headroom_events_waiting", "Events that wait for Redis.", value=len(worker.outbox))
    counts = worker.outbox.counts
    events = CounterMetricFamily("headroom_events", "Events told, by what became of them.", labels=["result"])
    for result in ("written", "dropped", "unreadable"):
        events.add_metric([result], getattr(counts, result))
    yield events
    orders = CounterMetricFamily("headroom_orders_received", "Orders got, by what was done.", labels=["result"])
    for result in ("obeyed", "fenced", "stale", "unreadable", "cut"):
        orders.add_metric([result], worker.counts[result])
    yield orders


def _controller(controllers: "Controllers") -> Iterator[Metric]:
    held = GaugeMetricFamily("headroom_lease_token", "The fencing token of a site controlled here.", labels=["site"])
    took = GaugeMetricFamily("headroom_take_over_seconds", "How long taking a site over took.", labels=["site"])
    lag = GaugeMetricFamily("headroom_stream_heard", "1 where a site's events are heard.", labels=["site"])
    orders = CounterMetricFamily("headroom_orders", "Orders given, by what became of them.", labels=["site", "result"])
    for site, reign in controllers.reigns.items():
        held.add_metric([site], reign.lease.token)
        lag.add_metric([site], float(reign.reads))
        if reign.took_s is not None:
            took.add_metric([site], reign.took_s)
        for result in ("sent", "fenced", "unlinked", "lost"):
            orders.add_metric([site, result], reign.orders.counts[result])
    yield from (held, took, lag, orders)
    yield CounterMetricFamily("headroom_take_overs", "Sites taken over since the start.", value=controllers.take_overs)
