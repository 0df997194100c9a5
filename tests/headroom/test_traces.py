"""Traces: from the exchange to the wire in one piece, API requests by their template, nothing unless asked for."""

import pytest
from api_world import a_house
from needs import needs_traces

from domain.errors import HeadroomError
from domain.events import SessionStarted, SetpointSent
from domain.ids import ChargerId, DecisionId, EvseId
from headroom.clock import monotonic_s
from headroom.decider import InlineDecider
from headroom.question import Question
from headroom.settings import Settings
from headroom.traces import Traces, open_traces

needs_traces()

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402


@pytest.fixture
def kept() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traces(kept: InMemorySpanExporter) -> Traces:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return Traces(provider)


def named(kept: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in kept.get_finished_spans() if span.name == name]


async def test_an_exchange_its_decision_and_the_limits_on_the_wire_are_one_trace(
    traces: Traces, kept: InMemorySpanExporter
) -> None:
    async with a_house() as house:
        decider, now = traces.around(house.site, InlineDecider(house.site)), house.service.clock.now()
        for charger in ("CP001", "CP002", "CP999"):
            traces.handle(SessionStarted(ChargerId(charger), 1, now, "t", relayed_mono_s=monotonic_s()))
        for name in ("d1", "d2"):
            await decider.decide(Question(house.controller.snapshot(now), "test", DecisionId(name)))
        traces.handle(SetpointSent(EvseId("P1-01"), now, 6.0, DecisionId("d1"), monotonic_s()))
        traces.handle(SetpointSent(EvseId("P1-01"), now, 6.0, DecisionId("of another process"), monotonic_s()))
    exchange, other = named(kept, "exchange")
    first, second = named(kept, "decision")
    (wire,) = named(kept, "limit on the wire")
    assert exchange.parent is None
    assert first.parent is not None
    assert wire.parent is not None
    assert first.parent.span_id == exchange.context.span_id
    assert wire.parent.span_id == first.context.span_id
    assert {one.context.trace_id for one in (exchange, first, wire)} == {exchange.context.trace_id}
    assert second.parent is None, "the exchange was answered by the first"
    assert [link.context.span_id for link in first.links] == [other.context.span_id]
    times = [exchange.start_time, exchange.end_time, first.end_time, wire.end_time]
    assert times == sorted(times)
    assert (first.attributes or {})["headroom.rung"] == "strategy"


async def test_a_request_is_told_by_its_template_and_without_secrets(
    traces: Traces, kept: InMemorySpanExporter
) -> None:
    async with a_house(mode="token") as house:
        app, house.app = house.app, traces.application(house.app)  # type: ignore[assignment]
        client = house.caller("hr_secret_token")
        await client.get("/api/v1/sites/demo?key=secret")
        await client.get("/api/v1/driver/a-secret-link")
        house.app = app
    names = [span.name for span in kept.get_finished_spans()]
    assert names == ["GET page", "GET /api/v1/driver/{link}"], "who is refused at the gate gets no further"
    told = str([(span.name, dict(span.attributes)) for span in kept.get_finished_spans()])
    assert "secret" not in told
    assert kept.get_finished_spans()[0].attributes["http.response.status_code"] == 401


def test_nothing_is_traced_unless_an_endpoint_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert open_traces(Settings.from_environment().traces_to) is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/")
    assert Settings.from_environment().traces_to == "http://127.0.0.1:4318/"


def test_an_endpoint_without_the_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(HeadroomError, match="extra 'traces'"):
        open_traces("http://127.0.0.1:4318")
