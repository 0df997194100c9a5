"""The live service in its process: store, solver, proxy and API under one supervisor."""

import asyncio
import os
import random
import secrets
import socket
import sys
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address

import structlog
import uvicorn
from starlette.types import ASGIApp

from domain.errors import HeadroomError, StorageError
from domain.site import Site
from headroom.access.options import AccessOptions, first_token
from headroom.api.app import create_app
from headroom.api.guard import authority_of
from headroom.bootstrap import Outside, build
from headroom.charger_gate import TlsOptions, open_gates, watch_files
from headroom.clock import monotonic_s
from headroom.collecting import collect_seldom
from headroom.console import print_json
from headroom.decider import ProcessDecider, shared
from headroom.forecast_keeper import KeeperOptions
from headroom.notifications.settings import NotifySettings
from headroom.notifications.watched import Watched
from headroom.notifications.wiring import Notifiers
from headroom.outer_parts import outer_parts
from headroom.planner import ProcessPlanner
from headroom.retention import Retention
from headroom.service import Service
from headroom.settings import Settings
from headroom.spooling import open_spool
from headroom.supervisor import ApiServer, supervise
from headroom.traces import Traces, open_traces, traced_deciders
from inventory.store import AsyncStore, Store
from proxy.network import LoopNetwork
from proxy.tls_files import ServerTls

log = structlog.get_logger()

Part = Callable[[], Awaitable[object]]

_LAST_FRAMES_S = 1.0
"""For the last limits to reach their chargers before the links close."""

_LAST_WRITES_S = 1.5
"""For the last records, after everything else has ended."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the service listens; port 0 takes any free one.

    With `tls` pairs the OCPP port speaks TLS; `plain_port` is one more without, for chargers that cannot. `access` says
    who may use the API, `forecasts` where models lie and how often they are renewed, `notify` who is told of
    alarms and state.
    """

    ocpp_host: str
    ocpp_port: int
    api_host: str
    api_port: int
    tls: TlsOptions = field(default_factory=TlsOptions)
    plain_port: int | None = None
    access: AccessOptions = field(default_factory=AccessOptions)
    forecasts: KeeperOptions = field(default_factory=KeeperOptions)
    notify: NotifySettings = field(default_factory=NotifySettings)


async def run_service(
    sites: Sequence[Site], settings: Settings, database: str, listening: Listening, *, as_json: bool
) -> None:
    """Run until a signal; the ports are printed as JSON when ready, where `as_json`.

    Raises:
        HeadroomError: the database, a port or a certificate cannot be used.
    """
    clock = settings.clock()
    gates, server_tls = open_gates(sites, listening.tls, clock.now)
    store = await AsyncStore.open(database)
    spool = open_spool(sites, database, settings.spool)
    deciders, planner = shared(sites, os.cpu_count() or 1), ProcessPlanner()
    traces = open_traces(settings.traces_to)
    try:
        outside = Outside(
            clock, LoopNetwork(), store, monotonic_s, new_id, gates, spool, keeps_messages=True, planner=planner
        )
        service = await build(sites, traced_deciders(traces, sites, deciders), outside)
        if traces is not None:
            service.bus.subscribe(traces.handle)
        collect_seldom()
        for decider in deciders.values():
            await started(decider)
        watch = partial(watch_files, tuple(gates.values()), server_tls, clock)
        watched = Watched(service.controllers, service.feed, store, clock, service.feed.newest)
        told = Notifiers(listening.notify, new_id, service.webhooks).parts(watched)
        kept = Retention(store, clock, settings.keep_days, settings.keep_sessions_days)
        beside: list[Part] = [
            watch,
            kept.run,
            *await outer_parts(service.controllers, store, clock, service.bus.publish, listening.forecasts),
            *told,
        ]
        await _run(service, listening, beside, server_tls, traces, as_json=as_json)
    finally:
        for decider in deciders.values():
            decider.close()
        planner.close()
        if traces is not None:
            traces.close()
        await closed(store)
        if spool is not None:
            spool.close()


_RANDOM = random.Random(secrets.token_bytes(32))


def new_id() -> str:
    """An id that nobody else makes; anybody may guess it.

    The system is not asked for chance each time: the loop would let go of the interpreter's lock, and wait for a
    thread that is busy with the database to give it back, once for every limit that is sent.
    """
    return str(uuid.UUID(int=_RANDOM.getrandbits(128), version=4))


async def started(decider: ProcessDecider) -> None:
    """Wait for the solver; without it the service starts all the same, and a simpler rung decides meanwhile."""
    try:
        await decider.start()
    except (TimeoutError, OSError, BrokenProcessPool) as error:
        log.warning("solver_not_started", error=f"{type(error).__name__}: {error}")


async def closed(store: Store) -> None:
    """Write what waits, as far as the database takes it in time: a stuck one does not keep the process alive."""
    try:
        async with asyncio.timeout(_LAST_WRITES_S):
            await store.close()
    except (TimeoutError, StorageError) as error:
        log.error("last_records_lost", error=str(error) or f"the database took longer than {_LAST_WRITES_S:g} s")


async def _run(
    service: Service,
    listening: Listening,
    beside: Sequence[Part],
    server_tls: ServerTls | None,
    traces: Traces | None,
    *,
    as_json: bool,
) -> None:
    stop = asyncio.Event()
    try:
        bound = socket.create_server((listening.api_host, listening.api_port), backlog=1024)
    except OSError as error:
        raise port_error("--api-port", listening.api_host, listening.api_port, error) from None
    api = _api_server(service, listening, traces)

    async def announce() -> None:
        await api.answering.wait()
        service.ports["api_port"] = bound.getsockname()[1]
        await let_chargers_in(service, listening, server_tls)
        log.info("service_listening", **service.ports)
        if not ip_address(bound.getsockname()[0]).is_loopback:
            log.warning("api_open_to_the_network", host=listening.api_host)
        told = await tell_first_token(service, listening.access)
        if as_json:
            print_json({"sites": list(service.controllers), **service.ports, **told})

    async def shut_down() -> None:
        for controller in service.controllers.values():
            controller.fall_back()
        await asyncio.sleep(_LAST_FRAMES_S)
        await service.proxy.close(2.0)
        if service.messages is not None:
            await service.messages.flush()
        service.feed.close()
        api.should_exit = True

    async def serve_api() -> None:
        await api.serve(sockets=[bound])
        stop.set()

    parts = [*(one.run for one in service.controllers.values()), service.store.run, serve_api, announce, *beside]
    if service.messages is not None:
        parts += [service.messages.run, service.messages.keep_within_bounds]
    await supervise(parts, shut_down=shut_down, stop=stop)


def _api_server(service: Service, listening: Listening, traces: Traces | None) -> ApiServer:
    app: ASGIApp = create_app(service, authority_of(service, listening.access, monotonic_s))
    if traces is not None:
        app = traces.application(app)
    return ApiServer(
        uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2)
    )


async def tell_first_token(service: Service, access: AccessOptions) -> dict[str, str]:
    """At the very first start: an administrator's token, for people on stderr and for machines in the document."""
    token = None if access.mode == "open" else await first_token(service.store, service.clock)
    if token is None:
        return {}
    print(f"headroom: administrator's token, shown this once: {token}", file=sys.stderr, flush=True)
    return {"token": token}


async def let_chargers_in(service: Service, listening: Listening, server_tls: ServerTls | None) -> None:
    """Open the ports for chargers. `HeadroomError` where one is taken."""
    host, context = listening.ocpp_host, server_tls.context if server_tls is not None else None
    try:
        service.ports["ocpp_port"] = await service.proxy.listen(host, listening.ocpp_port, ssl=context)
    except OSError as error:
        raise port_error("--ocpp-port", host, listening.ocpp_port, error) from None
    if listening.plain_port is None:
        return
    try:
        service.ports["ocpp_plain_port"] = await service.proxy.listen(host, listening.plain_port)
    except OSError as error:
        raise port_error("--ocpp-plain-port", host, listening.plain_port, error) from None


def port_error(option: str, host: str, port: int, error: OSError) -> HeadroomError:
    """What to tell of a port that cannot be had."""
    return HeadroomError(
        f"{option} {port}: cannot listen on {host}: {error.strerror}. Take another port, or 0 for any."
    )
