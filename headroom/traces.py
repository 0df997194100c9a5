"""OpenTelemetry traces, where an endpoint is set: of exchanges with their decisions and limits, and of API requests.

Spans are told of afterwards, with the times that the service noted anyway: nothing waits for them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import HeadroomError
from domain.events import Event, SessionStarted, SetpointSent
from domain.ids import ChargerId, DecisionId, SiteId
from domain.setpoint import Decision
from domain.site import Site
from headroom.clock import WallClock, monotonic_s
from headroom.decider import Decider
from headroom.question import Question

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_REMEMBERED = 200
"""Decisions whose limits may still go out."""

_GIVE_UP_S = 1
_BATCH = 1024


@dataclass(frozen=True, slots=True)
class _Decided:
    context: "Context"
    at_s: float


class Traces:
    """Tells a tracer provider of what happens. Times are of the monotonic clock, in s."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("headroom")
        self._epoch_s = WallClock().now().timestamp() - monotonic_s()
        self._site_of: dict[ChargerId, SiteId] = {}
        self._exchanges: dict[SiteId, tuple[SessionStarted, ...]] = {}
        self._decisions: dict[DecisionId, _Decided] = {}

    def around(self, site: Site, decider: Decider) -> Decider:
        """A site's decider, with its decisions told of."""
        self._site_of |= {charger.id: site.id for charger in site.chargers}
        return _TracedDecider(site.id, decider, self)

    def handle(self, event: Event) -> None:
        """A subscriber of the bus."""
        if isinstance(event, SessionStarted) and event.relayed_mono_s is not None:
            site = self._site_of.get(event.charger)
            if site is not None:
                self._exchanges[site] = (*self._exchanges.get(site, ())[-_REMEMBERED:], event)
        elif isinstance(event, SetpointSent) and event.sent_mono_s is not None:
            decided = self._decisions.get(event.decision)
            if decided is not None:
                about = {"headroom.evse": event.evse, "headroom.limit_a": event.limit_a}
                span = self._span("limit on the wire", decided.at_s, about, decided.context)
                self._end(span, max(decided.at_s, event.sent_mono_s))

    def taken(self, site: SiteId) -> tuple[SessionStarted, ...]:
        """The exchanges that the decision which begins now answers: the first is its trace, the others are linked."""
        return self._exchanges.pop(site, ())

    def decided(self, site: SiteId, starts: tuple[SessionStarted, ...], decision: Decision, begun_s: float) -> None:
        """A decision was made."""
        exchanges = [self._exchange(start, begun_s) for start in starts]
        about = {
            "headroom.site": site,
            "headroom.decision": decision.id,
            "headroom.trigger": decision.trigger,
            "headroom.strategy": decision.strategy,
            "headroom.rung": decision.rung.value,
        }
        context = _within(exchanges[0]) if exchanges else None
        span, now_s = self._span("decision", begun_s, about, context), monotonic_s()
        for other in exchanges[1:]:
            span.add_link(other.get_span_context())
        self._end(span, now_s)
        self._decisions[decision.id] = _Decided(_within(span), now_s)
        while len(self._decisions) > _REMEMBERED:
            self._decisions.pop(next(iter(self._decisions)))

    def _exchange(self, start: SessionStarted, begun_s: float) -> "Span":
        relayed_s = begun_s if start.relayed_mono_s is None else min(start.relayed_mono_s, begun_s)
        about = {"headroom.charger": start.charger, "ocpp.transaction_started": True}
        span = self._span("exchange", relayed_s, about, None)
        self._end(span, begun_s)
        return span

    def application(self, app: ASGIApp) -> ASGIApp:
        """The API, with its requests told of: by the template of their path, which holds no names and no secrets."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            begun_s, status = monotonic_s(), 500

            async def noted(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await app(scope, receive, noted)
            finally:
                entry = scope.get("state", {}).get("entry")
                route = "page" if entry is None or entry.match is None else entry.match.template
                about = {
                    "http.request.method": scope["method"],
                    "http.route": route,
                    "http.response.status_code": status,
                }
                self._end(self._span(f"{scope['method']} {route}", begun_s, about, None), monotonic_s())

        return traced

    def close(self) -> None:
        """Send what waits; an endpoint that does not answer is given up soon: the service has to end."""
        self._provider.shutdown()

    def _span(self, name: str, begun_s: float, about: Mapping[str, Any], context: "Context | None") -> "Span":
        return self._tracer.start_span(name, context, start_time=self._ns(begun_s), attributes=dict(about))

    def _end(self, span: "Span", at_s: float) -> None:
        span.end(self._ns(at_s))

    def _ns(self, mono_s: float) -> int:
        return int((self._epoch_s + mono_s) * 1e9)


class _TracedDecider:
    def __init__(self, site: SiteId, inner: Decider, traces: Traces) -> None:
        self._site, self._inner, self._traces = site, inner, traces

    async def decide(self, question: Question) -> Decision:
        """As the inner one decides."""
        starts, begun_s = self._traces.taken(self._site), monotonic_s()
        decision = await self._inner.decide(question)
        self._traces.decided(self._site, starts, decision, begun_s)
        return decision

    async def switch(self, site: Site) -> None:
        """As the inner one does."""
        await self._inner.switch(site)


def open_traces(endpoint: str | None) -> Traces | None:
    """Traces to an OTLP endpoint (HTTP, such as `http://127.0.0.1:4318`); None where none is set.

    Raises:
        HeadroomError: the packages for it are not installed.
    """
    if endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise HeadroomError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is set, and {error.name} is not installed: install the extra 'traces' "
            "(pip install '.[traces]'), or unset it"
        ) from None
    provider = TracerProvider(resource=Resource.create({"service.name": "headroom"}))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_GIVE_UP_S)
    # One batch at most waits: it is what an end without an answer costs.
    one_batch = BatchSpanProcessor(
        exporter, max_queue_size=_BATCH, max_export_batch_size=_BATCH, schedule_delay_millis=1000
    )
    provider.add_span_processor(one_batch)
    return Traces(provider)


def traced_deciders(
    traces: Traces | None, sites: Sequence[Site], deciders: Mapping[SiteId, Decider]
) -> Mapping[SiteId, Decider]:
    """The deciders as they are, or told of where there are traces."""
    if traces is None:
        return deciders
    return {site.id: traces.around(site, deciders[site.id]) for site in sites}


def _within(span: "Span") -> "Context":
    from opentelemetry.trace import set_span_in_context

    return set_span_in_context(span)
