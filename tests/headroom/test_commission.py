"""A whole visit against the live service: its REST API, simulated chargers, cars and meters, in virtual time."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
import uvicorn
from api_world import a_house
from commission_world import Place, at_a_place, commissioned, site_text

from domain.errors import HeadroomError
from domain.ids import EvseId
from headroom.access.roles import Role
from headroom.commission_command import carried_out
from headroom.commissioning.asking import Answers
from headroom.commissioning.record import FALL_BACK_STEPS, Step, Verdict, load
from headroom.commissioning.seal import verified
from headroom.settings import child_environment
from inventory.site_file import parse_site
from simulators.behaviour import Behaviour

BROKEN = Behaviour(ignores_profiles_offline=True)
FORGETS_PROFILES = Behaviour(forgets_profiles_on_boot=True)
FORGETS_ITS_CLOCK = Behaviour(clock_skew_s=-56 * 365.25 * 86_400, max_stack_level=0)
KEEPS_TIME_NOT_LIMITS = Behaviour(max_stack_level=0)


def verdicts(record, evse: str) -> list[str]:
    return [str(record.of(evse, step).verdict) for step in Step]


def test_a_good_charger_is_proven_and_the_report_says_so(tmp_path: Path) -> None:
    """And a limit was never above what the building decided, nor is one left behind."""
    state, report, site = tmp_path / "state.json", tmp_path / "report.html", tmp_path / "quay.yaml"
    site.write_text(site_text(1))
    found: dict[str, object] = {}

    async def script(place: Place) -> None:
        visit = await place.visit()
        found.update(await carried_out(visit, ([], []), state, report, site))
        found["trial"] = place.service.controllers[place.site.id].trials.of(EvseId("E1"))
        found["asked"] = place.hands.asked
        found["key"] = (await visit.api.get("/seal-key"))["public_key"]

    at_a_place(script, text=site_text(1))
    record = load(state, "quay")
    assert record is not None
    assert verdicts(record, "E1") == ["passed"] * 5, [one.text for one in record.findings.values()]
    assert found["proven_all"] is True
    assert found["trial"] is None
    seal = verified(report.read_bytes(), str(found["key"]))
    assert (seal.site, seal.by) == ("quay", "Ada")
    page = report.read_text()
    assert "1 of 1 EVSEs" in page
    assert page.count("<svg") == 4
    assert str(found["site_file_difference"]).count("\n+") == 2
    assert "failsafe_proven: true" in str(found["site_file_difference"])
    assert site.read_text() == site_text(1), "never written"


@pytest.mark.parametrize(
    ("behaviour", "fails", "passes"),
    [
        (BROKEN, Step.LINK, [Step.IDENTITY, Step.METER]),
        (FORGETS_PROFILES, Step.POWER, [Step.IDENTITY, Step.METER, Step.LINK]),
        (FORGETS_ITS_CLOCK, Step.POWER, [Step.IDENTITY, Step.METER, Step.LINK]),
        (KEEPS_TIME_NOT_LIMITS, Step.CLOCK, [Step.IDENTITY, Step.METER, Step.LINK, Step.POWER]),
    ],
)
def test_a_charger_that_does_not_fall_back_fails_the_step_that_shows_it(
    behaviour: Behaviour, fails: Step, passes: list[Step]
) -> None:
    record = commissioned({1: behaviour}, text=site_text(1))
    told = {step: record.of("E1", step) for step in Step}
    texts = [one.text for one in told.values() if one]
    assert told[fails] is not None
    assert told[fails].verdict is Verdict.FAILED, texts
    assert [step for step in Step if told[step] and told[step].verdict is Verdict.PASSED] == passes, texts
    assert record.proven(["E1"]) == {"E1": False}
    later = [step for step in FALL_BACK_STEPS if list(Step).index(step) > list(Step).index(fails)]
    assert all(told[step] and told[step].verdict is Verdict.SKIPPED for step in later), "it is not risked again"


def test_a_forgotten_clock_that_the_power_cut_showed_needs_no_test_of_its_own() -> None:
    record = commissioned({1: Behaviour(clock_skew_s=-56 * 365.25 * 86_400)}, text=site_text(1))
    assert verdicts(record, "E1") == ["passed"] * 5, [one.text for one in record.findings.values()]
    clock = record.of("E1", Step.CLOCK)
    assert clock is not None
    assert "had reset its clock" in clock.text


def test_swapped_phases_fail_at_the_meter_and_no_link_is_taken_away() -> None:
    wired = parse_site(site_text(1).replace("phases: [A, B]", "phases: [B, C]"), "wired")
    asked: list[str] = []

    async def script(place: Place) -> None:
        visit = await place.visit()
        for terms, step in visit.to_do([], []):
            await visit.carry_out(terms, step)
        asked.extend(place.hands.asked)
        assert verdicts(visit.record, "E1") == ["passed", "failed", "skipped", "skipped", "skipped"]

    at_a_place(script, text=site_text(1), wired=wired)
    assert not any("pull" in one for one in asked)


def test_a_panel_without_room_for_the_worst_is_not_tried() -> None:
    asked: list[str] = []

    async def script(place: Place) -> None:
        visit = await place.visit()
        for step in (Step.METER, Step.LINK):
            await visit.carry_out(visit.evses["E1"], step)
        asked.extend(place.hands.asked)
        found = visit.record.of("E1", Step.LINK)
        assert found is not None
        assert found.verdict is Verdict.UNCLEAR
        assert "not tried" in found.text

    at_a_place(script, text=site_text(1, rating_a=40.0))
    assert not any("pull" in one for one in asked)


def test_a_visit_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    state, report = tmp_path / "state.json", tmp_path / "report.html"

    async def script(place: Place) -> None:
        visit = await place.visit()
        visit.asker = Answers({"E1/identity/label": True, "E1/car": True})
        with pytest.raises(HeadroomError, match="does not answer 'E1/link/pull'"):
            await carried_out(visit, ([], []), state, report, None)
        kept = load(state, "quay")
        assert kept is not None
        assert [one.step for one in kept.findings.values()] == [Step.IDENTITY, Step.METER]
        assert verified(report.read_bytes()).site == "quay", "what was found is told"
        again = await place.visit(kept)
        assert [step for _, step in again.to_do([], [])] == list(FALL_BACK_STEPS)
        assert [step for _, step in again.to_do([], [Step.METER])] == [Step.METER, *FALL_BACK_STEPS]
        with pytest.raises(HeadroomError, match="--evse"):
            again.to_do(["E9"], [])

    at_a_place(script, text=site_text(1))


def test_a_trial_limit_lowers_and_never_raises() -> None:
    async def script(place: Place) -> None:
        controller = place.service.controllers[place.site.id]
        await asyncio.sleep(300)
        before = controller.latest_setpoint(EvseId("E1"))
        assert before is not None
        for limit_a, expected in ((8.0, 8.0), (1.0, 6.0), (1000.0, before.limit_a)):
            answer = await place.client.put("/api/v1/evses/E1/trial-limit", json={"limit_a": limit_a, "seconds": 600})
            assert answer.status_code == 200, answer.text
            await asyncio.sleep(60)
            point = controller.latest_setpoint(EvseId("E1"))
            assert point is not None
            assert point.limit_a == pytest.approx(expected)
        await place.client.put("/api/v1/evses/E1/trial-limit", json={"limit_a": 8, "seconds": 30})
        await asyncio.sleep(90)
        point = controller.latest_setpoint(EvseId("E1"))
        assert point is not None
        assert point.limit_a == before.limit_a, "it ends by itself"
        assert (await place.client.delete("/api/v1/evses/E1/trial-limit")).status_code == 404
        for wrong in ({"limit_a": -1, "seconds": 10}, {"limit_a": 8, "seconds": 10_000}, {"limit_a": 8}):
            assert (await place.client.put("/api/v1/evses/E1/trial-limit", json=wrong)).status_code == 422

    at_a_place(script, text=site_text(1))


async def test_the_command_itself_over_a_socket(tmp_path: Path) -> None:
    """Nobody on site can do anything: what can be seen without them is told, and no more."""
    (tmp_path / "answers.yaml").write_text("'*': no\n")
    async with a_house(mode="token") as house:
        server = uvicorn.Server(uvicorn.Config(house.app, port=0, log_config=None, lifespan="off"))
        serving = asyncio.get_running_loop().create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.02)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        operator = await house.with_role(Role.OPERATOR)
        (tmp_path / "token").write_text(operator.headers["Authorization"].removeprefix("Bearer ") + "\n")
        given = ["--api", url, "--token-file", "token", "--answers", "answers.yaml", "--evse", "P2-01", "--json"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "headroom", "commission", *given),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            env=child_environment(PYTHONPATH=str(Path(__file__).parents[2])),
        )
        said, _ = await process.communicate()
        house.service.feed.close()
        server.should_exit = True
        await serving
    found = json.loads(said)
    assert process.returncode == 1
    assert found["proven_all"] is False
    steps = {name: one["verdict"] for name, one in found["evses"]["P2-01"]["steps"].items()}
    assert steps == {
        "identity": "failed",
        "meter": "unclear",
        "link": "skipped",
        "power": "skipped",
        "clock": "skipped",
    }
    assert found["evses"]["P1-01"]["steps"] == {}
    assert verified((tmp_path / "commissioning.html").read_bytes()).site == "demo"


def test_answers_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "answers.yaml"
    file.write_text("E1/link/pull: no\n'*': yes\n")
    answers = Answers.read(file)
    assert asyncio.run(answers.done("E1/link/pull", "")) is False
    assert asyncio.run(answers.done("E1/power/cut", "")) is True
    for wrong in ("- a\n", "a: b\n", "a: [\n", "[" * 9999):
        file.write_text(wrong)
        with pytest.raises(HeadroomError, match="--answers"):
            Answers.read(file)
