"""`headroom serve` with TLS: refused at the start with a sentence, or let in over the network as the site file says."""

import asyncio
import base64
import io
import json
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import structlog
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import InvalidStatus

sys.path.insert(0, str(Path(__file__).parents[1] / "proxy"))

from certificate_world import DAY, NOW, Authority, client_side

from domain.errors import HeadroomError
from domain.password import PasswordHash
from domain.security import ChargerSecurity, SiteSecurity
from domain.site import ClientCertificate, CsmsTls, Site
from headroom.charger_gate import TlsOptions, open_gates, watch_files
from headroom.key_command import key
from headroom.settings import child_environment
from inventory.site_file import load_site

SITE = """\
site: cedar
timezone: America/Vancouver
csms:
  url: "wss://127.0.0.1:{port}/ocpp"
  tls: {{ca: ca.pem, certificate: "{{identity}}.pem", key: "{{identity}}.key"}}
feeders: [{{id: main, rating_a: 100}}]
chargers:
  - {{id: CP001, evses: [{{id: e1, connector: 1, feeder: main, phases: [A]}}]}}
  - {{id: CP002, evses: [{{id: e2, connector: 1, feeder: main, phases: [A]}}]}}
security:
  profile: 2
  revoked: revoked.txt
  chargers:
    CP001: {{profile: 3}}
    CP002: {{key: "{key}"}}
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("certificates"))
    for name in ("CP001", "CP002"):
        made.issue(name)
    made.issue("proxy", server=True)
    made.issue("csms", server=True)
    return made


def a_site(authority: Authority, port: int = 9) -> Path:
    (authority.folder / "revoked.txt").write_text("# none\n")
    file = authority.folder / "site.yaml"
    file.write_text(SITE.format(port=port, key=PasswordHash.of(b"secret of CP002", b"some salt").text))
    return file


def refusals(authority: Authority) -> list[tuple[str, Site, TlsOptions]]:
    site = load_site(a_site(authority))
    good = authority.issue("good", server=True)
    old = authority.issue("old", begins=-3 * DAY, ends=-DAY)
    offers = TlsOptions((good,), authority.file)
    only_csms = replace(site, security=SiteSecurity())

    def csms(pair: ClientCertificate | None, ca: str | None = None) -> Site:
        return replace(only_csms, csms=replace(site.csms, tls=CsmsTls(ca, pair)))

    missing = ClientCertificate("nowhere.pem", good.key)
    return [
        ("asks for security profile 3.*--tls-certificate", site, TlsOptions()),
        ("asks for security profile 3.*--client-ca", site, TlsOptions((good,))),
        ("old.pem' holds a certificate that expired", site, TlsOptions((old,), authority.file)),
        ("'nowhere.pem' cannot be read", site, TlsOptions((good,), "nowhere.pem")),
        ("is not the key of the certificate", site, TlsOptions((replace(good, key=old.key),), authority.file)),
        ("site 'cedar': 'nowhere.pem' cannot be read", csms(missing), TlsOptions()),
        ("site 'cedar': .*expired", csms(ClientCertificate(old.certificate, old.key)), TlsOptions()),
        ("site 'cedar': 'nowhere.pem' cannot be read", csms(None, "nowhere.pem"), TlsOptions()),
        (
            "site 'cedar': 'nowhere.crl' cannot be read",
            replace(site, security=SiteSecurity(revoked="nowhere.crl")),
            offers,
        ),
        (
            "asks for security profile 2",
            replace(only_csms, security=SiteSecurity(chargers={site.chargers[0].id: ChargerSecurity(2)})),
            TlsOptions(),
        ),
    ]


def test_what_cannot_work_is_refused_at_the_start_with_a_sentence(authority: Authority):
    for sentence, site, options in refusals(authority):
        with pytest.raises(HeadroomError, match=sentence) as caught:
            open_gates([site], options, lambda: NOW)
        assert "\n" not in str(caught.value)
    site = load_site(a_site(authority))
    gates, tls = open_gates([site], TlsOptions((authority.issue("good", server=True),), authority.file), lambda: NOW)
    assert list(gates) == ["cedar"]
    assert tls is not None


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--tls-certificate", "x.pem"], "each certificate needs its key"),
        (["--client-ca", "x.pem"], "--client-ca: without --tls-certificate"),
    ],
)
def test_options_that_do_not_fit_together_end_with_2(authority: Authority, options: list[str], sentence: str):
    site = ["--site", str(next((Path(__file__).parents[2] / "docs" / "examples").glob("*.yaml")))]
    done = subprocess.run(
        [sys.executable, "-m", "headroom", "serve", *site, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr.strip().splitlines()[-1]


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Ticks:
    """A clock whose sleeps end when the test says so."""

    def __init__(self) -> None:
        self.ticks: asyncio.Queue[None] = asyncio.Queue()
        self.waiting = asyncio.Event()

    def now(self):
        return NOW

    async def sleep(self, seconds: float) -> None:
        self.waiting.set()
        await self.ticks.get()

    async def tick(self) -> None:
        """Let one sleep end, and return when the next one begins."""
        await self.waiting.wait()
        self.waiting.clear()
        self.ticks.put_nowait(None)
        await self.waiting.wait()


async def test_lists_and_certificates_are_read_again_and_what_is_bad_is_told_once(authority: Authority):
    site = load_site(a_site(authority))
    pair = authority.issue("renewed", server=True)
    gates, tls = open_gates([site], TlsOptions((pair,), authority.file), lambda: NOW)
    clock = Ticks()
    structlog.reset_defaults()  # whoever configured logs before this may have left out warnings
    with structlog.testing.capture_logs() as logs:
        watching = asyncio.get_running_loop().create_task(watch_files(gates.values(), tls, clock))
        (authority.folder / "revoked.txt").write_text("abc123\n")
        authority.issue("renewed", server=True, kind="2048")
        await clock.tick()
        (authority.folder / "revoked.txt").write_text("no number\n")
        for _ in range(3):
            await clock.tick()
        watching.cancel()
    assert [one["event"] for one in logs] == ["revocations_read", "certificates_read", "file_not_used"]
    assert logs[0]["revoked"] == 1


def run_key(capsys, monkeypatch, typed: str, **options: bool) -> str:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    key(**({"new": False, "json": False} | options))
    return capsys.readouterr().out


def test_a_password_becomes_a_hash_that_the_site_file_takes(capsys, monkeypatch):
    typed = run_key(capsys, monkeypatch, "secret of CP002\n")
    assert PasswordHash.parse(typed.removeprefix("key: ").strip()).matches(b"secret of CP002")
    assert "secret" not in typed
    made = json.loads(run_key(capsys, monkeypatch, "", new=True, json=True))
    assert 16 <= len(bytes.fromhex(made["password"])) <= 20
    assert PasswordHash.parse(made["key"]).matches(bytes.fromhex(made["password"]))
    with pytest.raises(HeadroomError, match="no password"):
        run_key(capsys, monkeypatch, "")


NEW_KEY = {"key": "AuthorizationKey", "value": "00" * 16}


async def answer_everything(connection) -> None:
    """A CSMS that after an Authorize tries to change the charger's key; the answer comes back as a Heartbeat's."""
    async for message in connection:
        frame = json.loads(message)
        if frame[0] == 2:
            await connection.send(json.dumps([3, frame[1], {}]))
            if frame[2] == "Authorize":
                await connection.send(json.dumps([2, "new key", "ChangeConfiguration", NEW_KEY]))
        elif frame[1] == "new key":
            await connection.send(json.dumps([2, "told", "DataTransfer", {"vendorId": json.dumps(frame[2])}]))


async def test_the_whole_service_over_tls_on_both_sides(authority: Authority, tmp_path: Path):
    """The real process, event loop included: a certificate here, a password there, the charger's own one upstream."""
    csms_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    csms_side.load_cert_chain(f"{authority.folder}/csms.pem", f"{authority.folder}/csms.key")
    csms_side.verify_mode = ssl.CERT_REQUIRED
    async with serve(answer_everything, "127.0.0.1", 0, ssl=csms_side, subprotocols=["ocpp1.6"]) as csms:
        file = a_site(authority, csms.sockets[0].getsockname()[1])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "headroom", "serve", "--json", "--site", str(file), "--access", "open"),
            *("--ocpp-port", "0", "--api-port", "0", "--database", f"sqlite+aiosqlite:///{tmp_path}/s.db"),
            *("--tls-certificate", f"{authority.folder}/proxy.pem", "--tls-key", f"{authority.folder}/proxy.key"),
            *("--client-ca", authority.file, "--ocpp-plain-port", "0"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=child_environment(),
        )
        try:
            ports = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
            await _use(authority, ports)
        finally:
            process.terminate()
            _, said = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0, said.decode()
        assert b"secret of CP002" not in said
        assert base64.b64encode(b"CP002:secret of CP002")[:20] not in said


async def until_told(charger) -> dict[str, list[object]]:
    """What the charger hears until the CSMS has told what became of its command; it accepts everything with {}."""
    heard: dict[str, list[object]] = {}
    while "told" not in heard:
        frame = json.loads(await asyncio.wait_for(charger.recv(), 10))
        heard[frame[1]] = frame
        if frame[0] == 2:
            await charger.send(json.dumps([3, frame[1], {}]))
    return heard


async def _use(authority: Authority, ports: dict[str, int]) -> None:
    tls, plain = f"wss://127.0.0.1:{ports['ocpp_port']}", f"ws://127.0.0.1:{ports['ocpp_plain_port']}"
    own = client_side(authority.file, authority.issue("CP001"))
    nobody = client_side(authority.file)
    key = basic("CP002", "secret of CP002")
    options: dict[str, object] = {"subprotocols": ["ocpp1.6"]}
    refused = [
        (f"{tls}/CP001", {"ssl": nobody, "additional_headers": basic("CP001", "x")}, 403),
        (f"{tls}/CP002", {"ssl": nobody, "additional_headers": basic("CP002", "x")}, 401),
        (f"{plain}/CP002", {"additional_headers": key}, 403),
    ]
    for url, how, status in refused:
        with pytest.raises(InvalidStatus) as caught:
            async with connect(url, **options, **how):
                raise AssertionError("it was let in")
        assert caught.value.response.status_code == status
    async with (
        connect(f"{tls}/CP001", ssl=own, **options) as one,
        connect(f"{tls}/CP002", ssl=nobody, additional_headers=key, **options) as two,
        httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{ports['api_port']}/api/v1") as api,
    ):
        for charger in (one, two):
            await charger.send('[2,"mine","Authorize",{"idTag":"TAG-OF-ANNA"}]')
            heard = await until_told(charger)
            # CP001 came by certificate, so that a new password changes nothing here; CP002's is in the site file.
            assert ("new key" in heard) == (charger is one)
            assert heard["told"][3] == {"vendorId": "{}" if charger is one else '{"status": "Rejected"}'}
        async with asyncio.timeout(10):
            while True:
                found = (await api.get("/chargers/CP002/messages?action=Authorize")).raise_for_status().json()
                if len(found["items"]) == 2:
                    break
                await asyncio.sleep(0.1)
        assert "TAG-OF-ANNA" not in str(found)
