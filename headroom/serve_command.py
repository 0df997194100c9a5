"""`headroom serve`: the service."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from domain.errors import HeadroomError
from headroom.database_work import Database
from headroom.settings import DEFAULT_DATABASE, Settings

if TYPE_CHECKING:
    from headroom.charger_gate import TlsOptions


def serve(
    site: Annotated[list[Path], typer.Option(help="site file (YAML); may be given several times")],
    csms: Annotated[str | None, typer.Option(help="CSMS URL instead of the site files' own")] = None,
    ocpp_host: Annotated[str, typer.Option(help="address that chargers connect to")] = "127.0.0.1",
    ocpp_port: Annotated[int, typer.Option(help="port that chargers connect to; 0 takes any", min=0, max=65535)] = 9000,
    api_host: Annotated[str, typer.Option(help="address of the REST API")] = "127.0.0.1",
    api_port: Annotated[int, typer.Option(help="port of the REST API; 0 takes any", min=0, max=65535)] = 8080,
    tls_certificate: Annotated[
        list[Path] | None,
        typer.Option(
            help="certificate of the OCPP port (PEM with its chain), which then speaks TLS; one RSA, one ECDSA"
        ),
    ] = None,
    tls_key: Annotated[
        list[Path] | None, typer.Option(help="key of each --tls-certificate (PEM), in the same order")
    ] = None,
    client_ca: Annotated[
        Path | None, typer.Option(help="authority of the chargers' client certificates (PEM): security profile 3")
    ] = None,
    ocpp_plain_port: Annotated[
        int | None,
        typer.Option(help="one more port without TLS, beside a TLS --ocpp-port; 0 takes any", min=0, max=65535),
    ] = None,
    access: Annotated[
        Literal["token", "open"], typer.Option(help="open: everybody on this machine may do everything; loopback only")
    ] = "token",
    oidc_issuer: Annotated[
        str | None, typer.Option(help="URL of an OpenID Connect provider whose bearer tokens are taken")
    ] = None,
    oidc_audience: Annotated[str | None, typer.Option(help="audience that its tokens for Headroom name")] = None,
    oidc_roles: Annotated[
        str, typer.Option(help="claim with headroom:ROLE or headroom:ROLE:SITE; a dotted path")
    ] = "roles",
    notify: Annotated[
        Path | None, typer.Option(help="file (YAML) of webhooks and MQTT brokers that are told of alarms and state")
    ] = None,
    redis: Annotated[
        str | None,
        typer.Option(help="URL of the Redis by which several processes serve the same sites; needs PostgreSQL"),
    ] = None,
    role: Annotated[
        Literal["all", "proxy", "controller", "api"],
        typer.Option(help="this process's part; all but 'all' need --redis"),
    ] = "all",
    drain_seconds: Annotated[
        float, typer.Option(help="with --redis: over how long a process that ends lets its chargers go", min=0, max=600)
    ] = 5.0,
    database: Database = DEFAULT_DATABASE,
    forecast: Annotated[
        Path | None, typer.Option(help="folder of trained models; beside an SQLite database without it")
    ] = None,
    renew_days: Annotated[
        float, typer.Option(help="how old a model may get before it is trained again; 0: never", min=0)
    ] = 7.0,
    json: Annotated[bool, typer.Option("--json", help="print one JSON document with the ports when ready")] = False,
) -> None:
    """Run the proxy, the energy management and the REST API for one or several buildings.

    Example: headroom serve --site building.yaml --csms wss://csms.example/ocpp --ocpp-host 0.0.0.0
    """
    # Imported here so that other commands, and a refusal, do not wait for the whole service to be loaded.
    from ems.failsafe import render
    from headroom import logs
    from headroom.access.options import access_options
    from headroom.descriptors import allow_sockets
    from headroom.site_input import proofs, read_sites

    if redis is None and role != "all":
        raise HeadroomError(f"--role {role}: parts of a service meet by Redis; give --redis, or leave --role out")
    if redis is not None and not database.startswith("postgresql"):
        raise HeadroomError(
            "--redis: several processes need a database that takes several; give --database postgresql://..."
        )
    guarded = access_options(access, api_host, oidc_issuer, oidc_audience, oidc_roles)
    settings = Settings.from_environment()
    clock = settings.clock()
    logs.configure(settings.log_level, clock)
    sites = read_sites(site, csms)
    if role in {"all", "proxy"}:
        allow_sockets(sum(len(one.chargers) for one in sites))
    for one, proof in proofs(sites):
        if not proof.holds:
            print(
                f"headroom: the fail-safe proof of site '{one.id}' does not hold; nothing is started.", file=sys.stderr
            )
            print(render(proof), file=sys.stderr)
            raise typer.Exit(1)
    import uvloop

    from headroom.forecast_keeper import KeeperOptions
    from headroom.forecast_shelf import Shelf, default_folder
    from headroom.notifications.settings import NotifySettings, read_settings
    from headroom.serving import Listening, run_service

    tls = _tls(tls_certificate or [], tls_key or [], client_ca, ocpp_plain_port)
    folder = forecast or default_folder(database)
    kept = KeeperOptions(None if folder is None else Shelf(folder), renew_days)
    told = NotifySettings() if notify is None else read_settings(notify, [one.id for one in sites])
    listening = Listening(ocpp_host, ocpp_port, api_host, api_port, tls, ocpp_plain_port, guarded, kept, told)
    if redis is None:
        uvloop.run(run_service(sites, settings, database, listening, as_json=json))
        return
    from headroom.fleet.serving import Membership, run_fleet

    member = Membership(redis, role, settings.redis_prefix, settings.advertise, drain_seconds)
    uvloop.run(run_fleet(sites, settings, database, member, listening, as_json=json))


def _tls(certificates: Sequence[Path], keys: Sequence[Path], client_ca: Path | None, plain: int | None) -> "TlsOptions":
    from headroom.charger_gate import TlsOptions
    from proxy.certificates import KeyPair

    if len(certificates) != len(keys):
        raise HeadroomError(
            f"--tls-certificate was given {len(certificates)} times and --tls-key {len(keys)} times: "
            "each certificate needs its key"
        )
    for option, value in (("--client-ca", client_ca), ("--ocpp-plain-port", plain)):
        if value is not None and not certificates:
            raise HeadroomError(f"{option}: without --tls-certificate the OCPP port speaks no TLS")
    pairs = tuple(KeyPair(str(one), str(key)) for one, key in zip(certificates, keys, strict=True))
    return TlsOptions(pairs, str(client_ca) if client_ca is not None else None)
