"""The quirk record over REST: read, written, exported, and at work from the next set-point on."""

import asyncio
import csv
import io

from api_world import House, a_house


async def probed(house: House) -> str:
    """The charger's identity, once it has been asked for what it says of itself."""
    charger = house.site.chargers[0].id
    async with asyncio.timeout(30):
        while house.controller.picture.quirks(charger).probed_at is None:
            await asyncio.sleep(0.1)
    return charger


async def test_a_live_charger_is_asked_and_its_record_can_be_read_written_and_exported() -> None:
    async with a_house() as house:
        charger = await probed(house)
        path = f"/api/v1/chargers/{charger}/quirks"
        told = (await house.client.get(path)).json()
        assert told["model"]["vendor"]
        assert told["quirks"]["rate_units"] == ["A", "W"]
        assert told["quirks"]["max_level"] == 8
        assert told["learned"]["max_profiles"] == 20
        assert (await house.client.get(f"/api/v1/sites/{house.site.id}/quirks")).json()["items"][0] | {"at": ""} == (
            told | {"at": ""}
        )

        answer = await house.client.put(path, json={"written": {"write_budget_per_day": 25, "after_zero": "resumes"}})
        assert answer.status_code == 200
        assert answer.json()["quirks"]["write_budget_per_day"] == 25
        snapshot = house.controller.snapshot(house.service.clock.now())
        view = snapshot.evses[house.site.chargers[0].evses[0].id]
        assert view.quirks.write_budget_per_day == 25, "a decision can see it"
        of_model = await house.client.put(f"{path}/model", json={"written": {"offline": "proven"}})
        assert of_model.json()["written_of_model"] == {"offline": "proven"}
        assert of_model.json()["quirks"]["offline"] == "proven"

        table = await house.client.get(f"/api/v1/sites/{house.site.id}/quirks.csv")
        (row, *_) = csv.DictReader(io.StringIO(table.text))
        assert (row["charger"], row["write_budget_per_day"], row["offline"]) == (charger, "25", "proven")
        report = await house.client.get(f"/api/v1/sites/{house.site.id}/quirks.md")
        assert report.headers["content-type"].startswith("text/markdown")
        assert "| offline | proven | a person |" in report.text

        await house.client.put(path, json={"written": {}})
        assert "write_budget_per_day" not in (await house.client.get(path)).json()["quirks"]


async def test_what_cannot_be_true_is_refused_with_what_may_be() -> None:
    async with a_house() as house:
        charger = await probed(house)
        path = f"/api/v1/chargers/{charger}/quirks"
        for written, told in (
            ({"after_zero": "explodes"}, "resumes or stays_paused or full_current"),
            ({"colour": "red"}, "not one that can be written"),
        ):
            answer = await house.client.put(path, json={"written": written})
            assert (answer.status_code, told in answer.json()["detail"]) == (422, True)
        assert (await house.client.get("/api/v1/chargers/none/quirks")).status_code == 404
        assert (await house.client.put("/api/v1/chargers/none/quirks", json={"written": {}})).status_code == 404


async def test_an_evse_says_what_its_chargers_own_schedule_shows() -> None:
    async with a_house() as house:
        path = f"/api/v1/evses/{house.site.evses[0].id}"
        async with asyncio.timeout(30):
            while (told := (await house.client.get(path)).json())["schedule_a"] is None:
                await asyncio.sleep(0.1)
        assert told["schedule_a"] == told["in_force_a"]
        assert (told["trusted"], told["ignored_a"], told["stays_paused_since"]) == (True, None, None)
