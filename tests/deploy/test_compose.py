"""The compose files: taken by a parser of the specification, with files that exist and commands that the CLI knows."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_lines import refused
from compose_spec import PyCompose
from needs import program

ROOT = Path(__file__).parents[2]
BASE = ROOT / "docker-compose.yml"
WORKERS = ROOT / "deploy" / "compose" / "workers.yml"


class Overriding(yaml.SafeLoader):
    """Reads what follows `!override` as what it is."""


def _override(loader: yaml.SafeLoader, node: yaml.Node) -> object:
    return {"!override": loader.construct_sequence(node, deep=True)}


Overriding.add_constructor("!override", _override)


def read(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), Loader=Overriding)


def over(base: Any, more: Any) -> Any:
    """The compose specification's merge of two files, as far as ours use it: maps merge, commands are replaced."""
    if isinstance(more, dict) and "!override" in more:
        return more["!override"]
    if isinstance(base, dict) and isinstance(more, dict):
        return {**base, **{key: over(base.get(key), value) for key, value in more.items()}}
    return more


def merged() -> dict[str, Any]:
    return over(read(BASE), read(WORKERS))


def expanded(text: str) -> str:
    """With the defaults of its variables."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text)


FILES = {"one": lambda: read(BASE), "workers": merged}


@pytest.mark.parametrize("which", FILES)
def test_a_parser_of_the_specification_takes_it(which: str) -> None:
    document = FILES[which]()
    found = PyCompose.from_yaml(expanded(yaml.safe_dump(document)))
    assert set(found.service_names()) == set(document["services"])


def test_the_parser_would_see_a_wrong_key() -> None:
    document = read(BASE)
    document["services"]["redis"]["comand"] = ["x"]
    with pytest.raises(ValueError, match="comand"):
        PyCompose.from_yaml(expanded(yaml.safe_dump(document)))


@pytest.mark.parametrize("which", FILES)
def test_commands_of_ours_are_known_to_the_cli(which: str) -> None:
    services = FILES[which]()["services"]
    ours = {name: one for name, one in services.items() if one.get("image") == "headroom" and "entrypoint" not in one}
    assert ours
    assert {name: refused(one["command"]) for name, one in ours.items()} == dict.fromkeys(ours)
    token = services["token"]["command"][0]
    made = re.search(r"\|\| headroom (.*?) > ", token)
    assert made is not None
    assert refused(made[1].split()) is None


@pytest.mark.parametrize("which", FILES)
def test_what_is_mounted_or_needed_is_there(which: str) -> None:
    document = FILES[which]()
    named = set(document["volumes"])
    for name, service in document["services"].items():
        for mount in service.get("volumes", []):
            source = expanded(mount).split(":", 1)[0]
            if source.startswith("./"):
                assert (ROOT / source).exists() or source.endswith("/tls"), f"{name}: {source}"
            else:
                assert source in named, f"{name}: {source}"
        for needed in service.get("depends_on", []):
            assert needed in document["services"], f"{name} needs {needed}"
        for secret in service.get("secrets", []):
            source = secret if isinstance(secret, str) else secret["source"]
            assert source in document["secrets"], f"{name}: {source}"


@pytest.mark.parametrize("which", FILES)
def test_only_chargers_and_people_come_in_and_from_this_machine_alone_unless_told(which: str) -> None:
    services = FILES[which]()["services"]
    for name, service in services.items():
        for port in service.get("ports", []):
            assert name == "front" or expanded(port).startswith("127.0.0.1:"), f"{name}: {port}"
    assert "ports" not in services["postgres"]
    assert "ports" not in services["redis"]


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets.sh"
    script.write_text((ROOT / "deploy" / "compose" / "make-secrets.sh").read_text())
    bash = program("bash", "apt-get install bash")
    for _ in range(2):
        subprocess.run([bash, script], check=True, capture_output=True)
        kept = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    assert kept["pgpass"] == f"postgres:5432:headroom:headroom:{kept['postgres-password']}\n"
    assert kept["postgres-password"] != kept["grafana-password"]
    assert {oct(file.stat().st_mode & 0o777) for file in (tmp_path / "secrets").iterdir()} == {"0o600"}
    again = dict(kept)
    subprocess.run([bash, script], check=True, capture_output=True)
    assert {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()} == again


@pytest.mark.parametrize("config", ["front.cfg", "balancer.cfg"])
def test_haproxy_takes_the_fronts(config: str, tmp_path: Path) -> None:
    """With a certificate made for it, and hosts that this machine can name."""
    haproxy, openssl = program("haproxy", "apt-get install haproxy"), program("openssl", "apt-get install openssl")
    made = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-days", "2", "-subj", "/CN=headroom", "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt")]
    subprocess.run(made, check=True, capture_output=True)
    pem = tmp_path / "both.pem"
    pem.write_text((tmp_path / "crt").read_text() + (tmp_path / "key").read_text())
    text = (ROOT / "deploy" / "compose" / config).read_text().replace("/usr/local/etc/haproxy/tls/", str(pem))
    changed = tmp_path / config
    changed.write_text(text)
    environment = {**os.environ, "OCPP_BACKEND": "127.0.0.1:9000"}
    found = subprocess.run([haproxy, "-c", "-f", changed], capture_output=True, text=True, env=environment, check=False)
    assert found.returncode == 0, found.stderr


def test_the_balancer_asks_as_the_documentation_says() -> None:
    """Not the port nor `/readyz`: draining proxies would lose all their chargers at once, and Redis all the proxies."""
    documented, shipped = (
        {line.strip() for line in (ROOT / file).read_text().splitlines()}
        for file in ("docs/fleet.md", "deploy/compose/balancer.cfg")
    )
    wanted = {line for line in documented if line.startswith(("balance ", "hash-type ", "option "))}
    assert "option httpchk GET /healthz" in wanted
    assert wanted | {"timeout check 5s"} <= documented & shipped
    checks = [next(line for line in lines if line.startswith("default-server")) for lines in (documented, shipped)]
    assert checks[1].startswith(checks[0])
