"""The demo's side of the REST API: readings in, decisions and statistics out. A service that is away is tried again."""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import httpx

from domain.metering import MeterReading
from domain.site import Site
from headroom.statistics import summarise

_RETRY_S = 0.3
_SUMMED = (
    "decisions",
    "setpoints_sent",
    "setpoints_accepted",
    "setpoints_refused",
    "rotations",
    "frames_injected",
    "desk_errors",
)


class ReadingPusher:
    """Pushes meter readings, the newest of each meter first to go; what cannot be delivered is lost, as with meters."""

    def __init__(self, base_url: str) -> None:
        self._client = httpx.AsyncClient(base_url=base_url, timeout=2.0, trust_env=False)
        self._waiting: dict[str, list[MeterReading]] = {}
        self._some = asyncio.Event()

    def put(self, reading: MeterReading) -> None:
        """Take a reading to be pushed; never waits."""
        self._waiting.setdefault(reading.meter, []).append(reading)
        self._some.set()

    async def run(self) -> None:
        """Push for ever."""
        async with self._client:
            while True:
                await self._some.wait()
                self._some.clear()
                waiting, self._waiting = self._waiting, {}
                for meter, readings in waiting.items():
                    body = [
                        {
                            "at": reading.at.isoformat(),
                            "current_a": {p: round(a, 3) for p, a in reading.current_a.items()},
                        }
                        for reading in readings
                    ]
                    try:
                        await self._client.post(f"/meters/{meter}/readings", json=body)
                    except httpx.HTTPError:
                        await asyncio.sleep(_RETRY_S)


class StatisticsWatch:
    """Looks at the service's counts every second, and adds up those of its runs."""

    def __init__(self, base_url: str, site: str) -> None:
        self._url = f"{base_url}/sites/{site}/statistics"
        self._ended: list[Mapping[str, object]] = []
        self._newest: dict[str, object] = {}

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(1.0)

    async def look(self) -> None:
        """Look once; counts that went back mean that the service began anew."""
        try:
            async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
                found = (await client.get(self._url)).raise_for_status().json()
        except httpx.HTTPError:
            return
        if self._newest and found["decisions"] < int(str(self._newest["decisions"])):
            self._ended.append(self._newest)
        self._newest = found

    def total(self) -> dict[str, object]:
        """Counts added up over all runs; latencies of the newest run, or of an earlier one where it has none."""
        runs = [*self._ended, self._newest]
        total: dict[str, object] = {name: sum(int(str(run.get(name, 0))) for run in runs) for name in _SUMMED}
        least = [float(str(run["least_nonzero_a"])) for run in runs if run.get("least_nonzero_a") is not None]
        total["least_nonzero_a"] = min(least, default=None)
        for name in ("decision_ms", "start_to_limit_ms"):
            known = [run[name] for run in runs if isinstance(one := run.get(name), dict) and one.get("p50") is not None]
            total[name] = known[-1] if known else summarise(())
        return total


class DecisionLines:
    """Prints one line per decision, in the words of a resident's question."""

    def __init__(self, base_url: str, site: Site, say: Callable[[str], None]) -> None:
        self._url = f"{base_url}/sites/{site.id}/events"
        self._zone = ZoneInfo(site.timezone)
        self._say = say
        self._standing: set[str] = set()

    async def run(self) -> None:
        """Follow the event stream for ever, resuming where it broke."""
        last_id = ""
        async with httpx.AsyncClient(timeout=httpx.Timeout(5.0, read=30.0), trust_env=False) as client:
            while True:
                try:
                    headers = {"Last-Event-ID": last_id} if last_id else {}
                    async with client.stream("GET", self._url, headers=headers) as stream:
                        kind = ""
                        async for line in stream.aiter_lines():
                            name, _, value = line.partition(": ")
                            if name == "id":
                                last_id = value
                            elif name == "event":
                                kind = value
                            elif name == "data" and kind == "decision":
                                self._print(json.loads(value))
                except httpx.HTTPError:
                    last_id = ""
                await asyncio.sleep(_RETRY_S)

    def _print(self, decision: Mapping[str, object]) -> None:
        changed = decision["changed"]
        assert isinstance(changed, list)
        at = datetime.fromisoformat(str(decision["at"])).astimezone(self._zone)
        telling = [point for point in changed if point["kind"] != "no_session"] or changed
        if telling:
            others = f"  (and {len(changed) - 1} more)" if len(changed) > 1 else ""
            self._say(f"{at:%H:%M:%S}  {telling[0]['text']}{others}")
        alarms = decision["alarms"]
        assert isinstance(alarms, list)
        for alarm in alarms:
            if alarm not in self._standing:
                self._say(f"{at:%H:%M:%S}  ALARM  {alarm}")
        self._standing = set(alarms)
