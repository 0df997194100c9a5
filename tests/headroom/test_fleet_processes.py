"""A fleet of real processes behind HAProxy: killed, paused and woken; nothing is lost, doubled or overloaded."""

from pathlib import Path

import needs
from databases import new_database
from fleet_world import a_prefix

from headroom.fleet.drill import Drill, passed
from headroom.fleet.drill_fleet import DrillOptions


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
