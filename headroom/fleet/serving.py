"""One process of a fleet, by its role: proxy, controller, API, or all of them."""

import asyncio
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import structlog
import uvicorn

from domain.site import Site
from headroom.api.app import create_app
from headroom.api.guard import authority_of
from headroom.bootstrap import Outside
from headroom.charger_gate import open_gates, watch_files
from headroom.charger_lore import SiteBook
from headroom.clock import monotonic_s
from headroom.collecting import collect_seldom
from headroom.console import print_json
from headroom.decider import shared
from headroom.fleet.connection import Fleet
from headroom.fleet.process import Process
from headroom.fleet.service import Role
from headroom.planner import ProcessPlanner
from headroom.retention import Retention
from headroom.serving import Listening, closed, let_chargers_in, new_id, port_error, started, tell_first_token
from headroom.settings import Settings
from headroom.spooling import open_spool, spool_path
from headroom.supervisor import SHUTDOWN_LIMIT_S, ApiServer, supervise
from inventory.store import AsyncStore
from proxy.network import LoopNetwork
from proxy.tls_files import ServerTls

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Membership:
    """Which fleet a process is in, and as what. `advertise`: the URL under which others reach its API; `drain_s`: over
    how long it lets its chargers go when it ends.
    """

    redis: str
    role: Role
    prefix: str = "headroom"
    advertise: str | None = None
    drain_s: float = 5.0


async def run_fleet(
    sites: Sequence[Site],
    settings: Settings,
    database: str,
    member: Membership,
    listening: Listening,
    *,
    as_json: bool,
) -> None:
    """Run one process of a fleet until a signal; its ports are printed as JSON when ready, where `as_json`.

    Raises:
        HeadroomError: the database, Redis, a port or a certificate cannot be used.
    """
    clock, is_proxy = settings.clock(), member.role in {"all", "proxy"}
    fleet = Fleet.at(member.redis, member.prefix, _boot())
    gates, server_tls = open_gates(sites, listening.tls, clock.now) if is_proxy else ({}, None)
    store = await AsyncStore.open(database)
    spool = open_spool(sites, database, settings.spool) if is_proxy else None
    deciders = shared(sites, os.cpu_count() or 1) if member.role in {"all", "controller"} else {}
    planner, bound = ProcessPlanner(), _bound(listening)
    try:
        outside = Outside(
            clock, LoopNetwork(), store, monotonic_s, new_id, gates, spool, keeps_messages=True, planner=planner
        )
        process = Process(SiteBook(sites), outside, fleet, member.role)
        if deciders:
            process.reign(deciders, member.advertise or _url(bound), listening.forecasts, listening.notify)
        for decider in deciders.values():
            await started(decider)
        if is_proxy:
            file = spool_path(database, settings.spool).resolve()
            await process.work(f"{socket.gethostname()}:{file}")
            process.parts.append(partial(watch_files, tuple(gates.values()), server_tls, clock))
        if deciders:
            process.parts.append(Retention(store, clock, settings.keep_days, settings.keep_sessions_days).run)
        collect_seldom()
        await _run(process, member, listening, (bound, server_tls), as_json=as_json)
    finally:
        for decider in deciders.values():
            decider.close()
        planner.close()
        await closed(store)
        await fleet.close()
        if spool is not None:
            spool.close()


async def _run(
    process: Process,
    member: Membership,
    listening: Listening,
    bound: tuple[socket.socket, ServerTls | None],
    *,
    as_json: bool,
) -> None:
    service, stop, listener = process.service, asyncio.Event(), bound[0]
    authority = authority_of(service, listening.access, monotonic_s)
    signpost = process.signpost(create_app(service, authority), health_only=member.role == "proxy")
    api = ApiServer(
        uvicorn.Config(signpost, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2)
    )

    async def announce() -> None:
        await api.answering.wait()
        service.ports["api_port"] = listener.getsockname()[1]
        if service.worker is not None:
            await let_chargers_in(service, listening, bound[1])
        log.info("process_listening", role=member.role, **service.ports)
        if not ip_address(listener.getsockname()[0]).is_loopback:
            log.warning("api_open_to_the_network", host=listening.api_host)
        told = await tell_first_token(service, listening.access) if member.role in {"all", "api"} else {}
        if as_json:
            print_json({"role": member.role, "sites": list(service.book.sites), **service.ports, **told})

    async def shut_down() -> None:
        await process.end(member.drain_s)
        api.should_exit = True

    async def serve_api() -> None:
        await api.serve(sockets=[listener])
        stop.set()

    parts = [service.store.run, serve_api, announce, process.watch_redis, *process.parts]
    try:
        await supervise(parts, shut_down=shut_down, stop=stop, limit_s=SHUTDOWN_LIMIT_S + member.drain_s)
    finally:
        await signpost.close()


def _bound(listening: Listening) -> socket.socket:
    try:
        return socket.create_server((listening.api_host, listening.api_port), backlog=1024)
    except OSError as error:
        raise port_error("--api-port", listening.api_host, listening.api_port, error) from None


def _url(bound: socket.socket) -> str:
    """Where others reach this process's API, as far as it can tell by itself."""
    host, port = bound.getsockname()[:2]
    if ip_address(host).is_unspecified:
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _boot() -> str:
    """A name for this machine's run; processes without one share it with nobody."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:13]
    except OSError:
        return new_id()
