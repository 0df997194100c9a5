"""The forecast over REST: what decisions count with, and the coming hours once some are known."""

from datetime import UTC, datetime, timedelta

import pytest
from api_world import a_house

from domain.ids import FeederId
from domain.site import Phase
from forecasting.hourly import Hour


async def test_median_and_interval_of_every_metered_feeder() -> None:
    async with a_house() as house:
        now = house.service.clock.now()
        live = house.controller.picture.base.live_forecast
        first = int(now.timestamp() // 3600) - 100
        hours = [Hour(first + n, 20.0 + n % 24, 22.0 + n % 24) for n in range(100)]
        live._phases.clear()  # as a service that starts: what was written down comes before the first reading
        live.restore(FeederId("p1"), Phase.A, hours)
        house.read_meters(5.0)
        await house.decided()
        found = await house.get("/sites/demo/forecast")
        assert {one["feeder"] for one in found["feeders"]} == {
            feeder.id for feeder in house.site.feeders if feeder.meter
        }
        main = next(one for one in found["feeders"] if one["feeder"] == "main")
        assert main["doubt"] is None
        assert main["phases"]["A"]["upper_a"] >= 5.0
        assert main["phases"]["A"]["hours"] == []  # not an hour old
        restored = next(one for one in found["feeders"] if one["feeder"] == "p1")["phases"]["A"]["hours"]
        assert len(restored) >= 23
        assert all(hour["low_a"] <= hour["median_a"] <= hour["high_a"] for hour in restored)
        at = datetime.fromisoformat(restored[0]["at"])
        assert at.astimezone(UTC).replace(minute=0, second=0, microsecond=0) == at
        assert timedelta(0) <= now - at < timedelta(hours=1)


@pytest.mark.parametrize("site", ["nowhere"])
async def test_another_site_is_not_found(site: str) -> None:
    async with a_house() as house:
        assert (await house.client.get(f"/api/v1/sites/{site}/forecast")).status_code == 404
