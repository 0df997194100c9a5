"""`headroom token`, and `serve` with access control, as a newcomer meets them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

CEDAR = Path(__file__).parents[2] / "docs" / "examples" / "cedar-court.yaml"


def headroom(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headroom", *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def token(database: str, *arguments: str) -> dict[str, Any]:
    done = headroom("token", *arguments, "--database", database, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def serving(database: str, *more: str) -> Iterator[tuple[dict[str, Any], list[str]]]:
    command = ("serve", "--json", "--site", str(CEDAR), "--database", database, "--api-port", "0", "--ocpp-port", "0")
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-m", "headroom", *command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout is not None
        try:
            yield json.loads(service.stdout.readline()), said
        finally:
            service.terminate()
            said.append(service.communicate(timeout=20)[1])
    assert service.returncode == 0


def get(ready: dict[str, Any], path: str, bearer: str | None) -> httpx.Response:
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    return httpx.get(f"http://127.0.0.1:{ready['api_port']}{path}", headers=headers, trust_env=False, timeout=20)


def test_the_first_start_tells_a_token_once_and_tokens_are_made_and_revoked_beside_it(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'headroom.db'}"
    with serving(database) as (ready, said):
        admin = ready["token"]
        assert get(ready, "/api/v1/sites", None).status_code == 401
        assert get(ready, "/api/v1/sites", admin).status_code == 200
        for path in ("/healthz", "/openapi.json", "/"):
            assert get(ready, path, None).status_code == 200
        made = token(database, "create", "--role", "viewer", "--name", "wall display")
        assert get(ready, "/api/v1/me", made["token"]).status_code in {200, 401}, "noticed within seconds"
        listed = token(database, "list")["tokens"]
        assert [one["role"] for one in listed] == ["admin", "viewer"]
        assert made["token"] not in json.dumps(listed)
        assert token(database, "revoke", made["id"]) == {"id": made["id"], "revoked": True}
        again = headroom("token", "revoke", made["id"], "--database", database)
        assert again.returncode == 1
    (log,) = said
    assert log.count(admin) == 1, "for people on stderr, and in no log line"
    assert not any(line.startswith("{") and admin in line for line in log.splitlines())
    with serving(database) as (ready, said):
        assert "token" not in ready
        assert get(ready, "/api/v1/me", admin).json()["role"] == "admin"
    assert admin not in said[0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("serve", "--access", "open", "--api-host", "0.0.0.0"), "--access open"),
        (("serve", "--redis", "redis://127.0.0.1"), "--redis"),
        (("serve", "--role", "proxy"), "--role"),
        (("serve", "--oidc-issuer", "http://login.example", "--oidc-audience", "x"), "--oidc-issuer"),
        (("serve", "--oidc-issuer", "https://login.example"), "--oidc-audience"),
        (("serve", "--notify", "/nowhere.yaml"), "/nowhere.yaml"),
        (("token", "create", "--role", "driver"), "--evse"),
        (("token", "create", "--role", "owner"), "owner"),
    ],
)
def test_what_does_not_go_together_ends_with_2(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'headroom.db'}"
    site = ("--site", str(CEDAR)) if arguments[0] == "serve" else ()
    done = headroom(*arguments, *site, "--database", database)
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "headroom.db").exists()
