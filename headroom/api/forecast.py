"""What the building is expected to draw beside its EVSEs: median and interval per feeder and phase."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from domain.ids import SiteId
from domain.site import Feeder, Phase
from forecasting.live import LiveForecast
from headroom.base_loads import FORECAST_S
from headroom.control_loop import SiteController
from headroom.service import Service


class ExpectedHour(BaseModel):
    """The largest non-EV load of one hour, A."""

    at: datetime
    median_a: float
    low_a: float = Field(description="with high_a the band that holds 90 %")
    high_a: float
    by: str = Field(description="who forecasts: narx, or the plain forecast that was better over the last week")


class PhaseForecast(BaseModel):
    """One phase: what decisions count with now, and the coming hours."""

    upper_a: float | None = Field(description="upper quantile over the coming minute, which decisions take; A")
    reading: str = Field(description="what the newest reading was taken for")
    drifted: bool = Field(description="whether the trained model no longer fits the building")
    hours: list[ExpectedHour]


class FeederForecast(BaseModel):
    """One metered feeder. `doubt`: why its meter is not believed, if it is not."""

    feeder: str
    meter: str
    doubt: str | None
    phases: dict[Phase, PhaseForecast]


class SiteForecast(BaseModel):
    """All metered feeders of a site."""

    site: str
    at: datetime
    feeders: list[FeederForecast]


def router(service: Service) -> APIRouter:
    """`/sites/{site}/forecast`."""
    routes = APIRouter(tags=["sites"])

    @routes.get("/sites/{site}/forecast")
    async def forecast(site: SiteId) -> SiteForecast:
        """Median and interval of every metered feeder over the coming day, hour by hour."""
        controller, now = service.controller(site), service.clock.now()
        metered = [feeder for feeder in controller.site.feeders if feeder.meter is not None]
        return SiteForecast(site=site, at=now, feeders=[_feeder(controller, feeder, now) for feeder in metered])

    return routes


def _feeder(controller: SiteController, feeder: Feeder, now: datetime) -> FeederForecast:
    base = controller.picture.base
    assert feeder.meter is not None, "only metered feeders are forecast"
    upper_a = base.forecaster.upper(feeder.id, now, FORECAST_S) or {}
    live = base.live_forecast
    return FeederForecast(
        feeder=feeder.id,
        meter=feeder.meter,
        doubt=base.doubt(feeder.meter),
        phases={
            phase: PhaseForecast(
                upper_a=None if phase not in upper_a else round(upper_a[phase], 2),
                reading="" if live is None else live.verdict(feeder.id, phase),
                drifted=live is not None and live.drifted(feeder.id, phase),
                hours=[] if live is None else _hours(live, feeder, phase, now),
            )
            for phase in feeder.phases
        },
    )


def _hours(live: LiveForecast, feeder: Feeder, phase: Phase, now: datetime) -> list[ExpectedHour]:
    return [
        ExpectedHour(
            at=at,
            median_a=round(one.median_a, 2),
            low_a=round(one.low_a, 2),
            high_a=round(one.high_a, 2),
            by=one.by,
        )
        for at, one in live.expected(feeder.id, phase, now)
    ]
