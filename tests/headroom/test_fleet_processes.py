"""A fleet of real processes behind HAProxy: killed, paused and woken; nothing is lost, doubled or overloaded."""

import tempfile
from pathlib import Path

import needs
from databases import new_database
from fleet_world import a_prefix

from headroom.fleet.drill import Drill, passed
from headroom.fleet.drill_fleet import DrillOptions, free_port
from headroom.fleet.drill_troubles import TROUBLES, own_servers


async def test_kill_9_of_each_kind_and_a_paused_controller_lose_and_overload_nothing(tmp_path: Path) -> None:
    needs.program("haproxy", "apt-get install haproxy")
    redis = needs.redis()
    with a_prefix(redis) as prefix, new_database("postgresql", tmp_path) as database:
        options = DrillOptions(database, redis, prefix, tmp_path, victims=("controller", "proxy", "api"), pauses=1)
        report = await Drill(options).run()
    assert passed(report), report
    assert report["kills"] == 3
    assert report["sessions"]
    assert report["frames_relayed"]
    assert report["paused"] == [{"stood_back": True, "woke_to_reign": False}]


async def test_an_upgrade_one_process_after_the_other_drops_no_session(tmp_path: Path) -> None:
    needs.program("haproxy", "apt-get install haproxy")
    redis = needs.redis()
    with a_prefix(redis) as prefix, new_database("postgresql", tmp_path) as database:
        options = DrillOptions(database, redis, prefix, tmp_path, kills=0, upgrade=True)
        report = await Drill(options).run()
    assert passed(report), report
    assert report["ended"] == [0] * 5
    assert report["went_on"]


async def test_what_is_around_a_fleet_slow_gone_or_empty_costs_no_transaction_and_no_link(tmp_path: Path) -> None:
    """PostgreSQL, Redis and at last the CSMS too: chargers stay, what is in force holds, and all is known again."""
    needs.program("haproxy", "apt-get install haproxy")
    needs.program("redis-server", "apt-get install redis-server")
    needs.postgresql()
    with tempfile.TemporaryDirectory(prefix="headroom-test-") as folder:  # a root's `tmp_path` is closed to others
        async with own_servers(Path(folder), free_port) as servers:
            options = DrillOptions(
                servers.database_url,
                servers.redis_url,
                "troubles",
                tmp_path,
                kills=0,
                servers=servers,
                troubles=TROUBLES,
                outage="hold",
            )
            report = await Drill(options).run()
    assert passed(report), report
    troubles = report["troubles"]
    assert isinstance(troubles, list)
    assert [(one["name"], one["online"]) for one in troubles] == [(name, options.chargers) for name in TROUBLES]
    assert all(one["relayed"] for one in troubles if one["name"] != "all-gone"), troubles
