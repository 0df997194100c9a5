"""Metrics are what the service did; dashboards and alert rules ask for nothing that is not there."""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from api_world import House, a_house
from needs import program
from prometheus_client.parser import text_string_to_metric_families

from headroom.access.roles import Role
from headroom.metrics import exposition

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "headroom.rules.yml"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
_WORD = re.compile(r"\b(headroom_\w+|process_\w+|up)\b")
_LABELS = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    async with a_house(mode="token") as made:
        yield made


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


async def test_metrics_are_what_the_service_did(house: House) -> None:
    scraper = await house.with_role(Role.VIEWER)
    answer = await scraper.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)

    def value(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    counters = house.service.proxy.counters
    assert value("headroom_links", version="ocpp1.6") == 1
    assert 0 < value("headroom_frames_total", direction="to_csms") <= counters.to_csms
    assert 0 < value("headroom_relay_seconds_count") <= sum(counters.relay_latency.counts)
    assert value("headroom_relay_seconds_bucket", le="+Inf") == value("headroom_relay_seconds_count")
    assert value("headroom_decisions_total", site="demo", rung="strategy") >= 1
    assert value("headroom_setpoints_total", site="demo", result="accepted") >= 1
    assert value("headroom_evse_setpoint_amperes", site="demo", evse="P1-01") >= 6
    tree = await house.get("/sites/demo", scraper)
    main = next(feeder for feeder in tree["feeders"] if feeder["id"] == "main")["phases"]["A"]
    labels = {"site": "demo", "feeder": "main", "phase": "A"}
    assert value("headroom_feeder_usable_amperes", **labels) == main["usable_a"]
    assert value("headroom_feeder_base_amperes", **labels) == pytest.approx(main["base_load_a"], abs=0.01)
    assert value("headroom_alarms", site="demo", kind="stale_meter") == 0
    assert value("headroom_ready") == 1
    assert value("headroom_site_info", site="demo", strategy=house.site.strategy, scheduler="round_robin") == 1


async def test_a_scraper_of_one_site_is_told_of_no_other(house: House) -> None:
    elsewhere = await house.with_role(Role.VIEWER, sites=["elsewhere"])
    assert 'site="demo"' not in (await elsewhere.get("/metrics")).text


def queries() -> Iterator[tuple[str, str]]:
    for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]:
        yield f"rule {rule['alert']}", rule["expr"]
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{file.name}: {panel['title']}", target["expr"]


async def test_every_query_asks_for_metrics_and_labels_that_are_there(house: House) -> None:
    scraper = await house.with_role(Role.VIEWER)
    house.controller.statistics.start_to_limit_ms.add(3.0)
    async with asyncio.timeout(20):  # the charger reports every second
        while (await house.get("/evses/P1-01", scraper))["measured_a"] is None:
            await asyncio.sleep(0.05)
    text, _ = await exposition(house.service, None)
    known: dict[str, set[str]] = {"up": {"job"}}
    for name, labels in samples(text.decode()):
        known.setdefault(name, set()).update(label for label, _ in labels)
    asked = list(queries())
    assert len(asked) > 40
    for where, query in asked:
        names = [name for name in _WORD.findall(query) if not name.endswith("_group")]
        assert names, where
        assert set(names) <= set(known), (where, query, set(names) - set(known))
        labels = {label for name in names for label in known[name]}
        assert set(_LABELS.findall(query)) <= labels, (where, query)
        for group in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", query):
            assert {label.strip() for label in group.split(",")} <= labels, (where, query)


def test_dashboards_are_whole() -> None:
    assert len(DASHBOARDS) == 2
    for file in DASHBOARDS:
        board: dict[str, Any] = json.loads(file.read_text())
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))
        places = [panel["gridPos"] for panel in board["panels"]]
        for index, one in enumerate(places):
            assert one["x"] + one["w"] <= 24
            for other in places[:index]:
                apart = (
                    one["x"] >= other["x"] + other["w"]
                    or other["x"] >= one["x"] + one["w"]
                    or one["y"] >= other["y"] + other["h"]
                    or other["y"] >= one["y"] + one["h"]
                )
                assert apart, (file.name, one, other)


def test_every_alert_says_what_to_do() -> None:
    for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["action"]


def test_promtool_takes_the_rules_their_tests_and_every_query(tmp_path: Path) -> None:
    promtool = program("promtool", "apt-get install prometheus")
    asked = [
        {"record": f"q:{number}", "expr": query.replace("$site", "s")} for number, (_, query) in enumerate(queries())
    ]
    every = tmp_path / "every.yml"
    every.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": asked}]}))
    tests = RULES.with_suffix("").with_suffix(".rules.test.yml")
    for command in (["check", "rules", str(RULES)], ["check", "rules", str(every)], ["test", "rules", str(tests)]):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
