"""Kills processes of a whole fleet at random, under load, and looks what became of limits and transactions.

    python -m headroom.fleet.drill --kills 50 --database postgresql://... --redis redis://...
    python -m headroom.fleet.drill --kills 0 --troubles

Two proxies behind HAProxy, two controllers and an API process; a simulated building, its chargers and their CSMS are
outside and are not killed. `--troubles` starts a PostgreSQL and a Redis of the drill's own, at a site that holds, and
has them slow or gone for a while, at last the CSMS too. The last line is a JSON document; exit 1 where something was
lost, doubled or overloaded.
"""

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from headroom.clock import FastClock, monotonic_s
from headroom.console import print_json
from headroom.demo_link import ReadingPusher
from headroom.fleet.drill_fleet import STARTS_WITHIN_S, DrillOptions, Fleet, Member, free_port
from headroom.fleet.drill_troubles import TROUBLES, own_servers
from headroom.twin import Surroundings, Twin
from inventory.site_file import parse_site
from proxy.network import LoopNetwork
from simulators.arrivals import demo_arrivals
from simulators.demo_site import demo_site
from simulators.transaction_judge import judged

_TAKEN_OVER_WITHIN_S = 60.0
_TOLD_WITHIN_S = 120.0
_OPENS_AT = datetime(2026, 3, 3, 1, 0, tzinfo=UTC)


class Drill:
    """One run. `take_overs_s` are the seconds from a controller's death to the next one's being in charge."""

    def __init__(self, options: DrillOptions) -> None:
        self.killed: list[str] = []
        self.paused: list[Mapping[str, bool]] = []
        self.ended: list[int | None] = []
        self.troubles: list[Mapping[str, object]] = []
        self.went_on = 0
        self.take_overs_s: list[float] = []
        self._options = options
        self._random = random.Random(options.seed)
        self._clock = FastClock.starting(options.speed, _OPENS_AT)
        self._site = parse_site(demo_site(options.chargers, outage=options.outage), "drill")
        self._twin = Twin(self._site, Surroundings(self._clock, LoopNetwork(), validate=0.0), csms=("127.0.0.1", 0))

    async def run(self) -> dict[str, object]:
        """Start everything, kill, and report."""
        twin, options = self._twin, self._options
        await twin.csms.start()
        file = options.folder / "site.yaml"
        file.write_text(demo_site(options.chargers, csms_url=twin.csms.url, outage=options.outage))
        fleet = Fleet(options, file, self._clock)
        try:
            await fleet.start()
            pusher = ReadingPusher(f"http://127.0.0.1:{fleet.of('api')[0].api_port}/api/v1")
            for charger in twin.charge_points(f"ws://127.0.0.1:{fleet.port}/ocpp"):
                charger.outbox.attempts = 10_000  # a charger may give a message up; that would hide what we lose
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(part) for part in (twin.run_chargers(), pusher.run())]
                await asyncio.wait_for(twin.connected(), STARTS_WITHIN_S)
                world = twin.open_world(demo_arrivals(self._site, self._clock.now(), 48), pusher.put)
                opened = group.create_task(world.run())
                for victim in options.victims or [""] * options.kills:
                    await asyncio.sleep(options.rest_s)
                    await self._kill(fleet, await self._victim(fleet, victim))
                for _ in range(options.pauses):
                    await asyncio.sleep(options.rest_s)
                    await self._pause(fleet)
                if options.upgrade:
                    await self._upgrade(fleet)
                for name in options.troubles:
                    await asyncio.sleep(options.rest_s)
                    await self._trouble(fleet, name)
                await asyncio.sleep(options.rest_s)
                opened.cancel()
                books = await self._until_told()
                for task in running:
                    task.cancel()
        finally:
            await fleet.stop()
            twin.csms.stop()
        return {**self._report(), "transactions": books}

    async def _victim(self, fleet: Fleet, role: str) -> Member:
        if not role:
            return self._random.choice(fleet.members)
        return await self._reigning(fleet) if role == "controller" else self._random.choice(fleet.of(role))

    async def _reigning(self, fleet: Fleet, besides: Member | None = None) -> Member:
        """Who controls the site, as soon as somebody does."""
        async with asyncio.timeout(_TAKEN_OVER_WITHIN_S):
            while (found := await fleet.in_charge(self._site.id)) is None or found is besides:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return found

    async def _pause(self, fleet: Fleet) -> None:
        """Stop who reigns, as a machine does that is overloaded, and wake it once another does."""
        asleep = await self._reigning(fleet)
        asleep.signal(signal.SIGSTOP)
        awake = await self._reigning(fleet, besides=asleep)
        asleep.signal(signal.SIGCONT)
        await asyncio.sleep(self._options.rest_s)
        now = await self._reigning(fleet)
        self.paused.append({"stood_back": now is awake, "woke_to_reign": now is asleep})

    async def _upgrade(self, fleet: Fleet) -> None:
        """As a new version is rolled out; which transactions ran through it all is told."""
        async with asyncio.timeout(STARTS_WITHIN_S):
            while not (before := {one.transaction_id for one in self._twin.csms.ledger.running()}):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        for member in fleet.members:
            self.ended.append(await member.end(signal.SIGTERM))
            await member.start()
            await asyncio.sleep(self._options.rest_s)
        after = {entry.transaction_id for entry in self._twin.csms.ledger.running()}
        self.went_on = len(before & after)

    async def _trouble(self, fleet: Fleet, name: str) -> None:
        """Something around the fleet is in trouble for a while; then all its processes have to be ready again."""
        servers, csms, judge = self._options.servers, self._twin.csms, self._twin.judge
        assert servers is not None
        async with servers.trouble(name, csms):
            relayed = judge.relayed()
            await self._change_cars(self._options.trouble_s)
            online = sum(charger.online for charger in self._twin.chargers.values())
            relayed = judge.relayed() - relayed
        begun_s = monotonic_s()
        async with asyncio.timeout(_TAKEN_OVER_WITHIN_S):
            while not (await fleet.ready() and await fleet.in_charge(self._site.id)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        ready_s = monotonic_s() - begun_s
        self.troubles.append({"name": name, "online": online, "relayed": relayed, "ready_s": round(ready_s, 1)})
        print(f"{self.troubles[-1]}", file=sys.stderr)

    async def _change_cars(self, seconds: float) -> None:
        """In so many seconds a car leaves an EVSE, and another one comes: transactions end and begin."""
        world = self._twin.world
        assert world is not None
        standing = [evse.id for evse in self._site.evses if world.stay_at(evse.id) is not None]
        left = self._random.choice(standing) if standing else None
        await asyncio.sleep(seconds / 4)
        stay = None if left is None else world.stay_at(left)
        if left is not None and stay is not None:
            world.unplug(left)
            await asyncio.sleep(seconds / 4)
            world.plug(replace(stay, at=self._clock.now(), id_tag=f"{stay.id_tag[:12]}-{len(self.troubles)}"))
        await asyncio.sleep(seconds / 2)

    async def _kill(self, fleet: Fleet, victim: Member) -> None:
        reigned = victim.role == "controller" and await fleet.in_charge(self._site.id) is victim
        begun_s = monotonic_s()
        await victim.end(signal.SIGKILL)
        self.killed.append(victim.name)
        if reigned:
            await self._reigning(fleet, besides=victim)
            self.take_overs_s.append(monotonic_s() - begun_s)
        print(f"{len(self.killed)}: {victim.name} was killed", *self.take_overs_s[-1:] * reigned, file=sys.stderr)
        await victim.start()

    async def _until_told(self) -> Mapping[str, object]:
        """What the CSMS's books say, once the chargers have told all they had, or cannot."""
        chargers = self._twin.chargers.values()
        books = judged(chargers, self._twin.csms.ledger)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TOLD_WITHIN_S):
                while not books.clean or any(len(charger.outbox) > 0 for charger in chargers):
                    await asyncio.sleep(0.5)
                    books = judged(chargers, self._twin.csms.ledger)
        return {"total": books.transactions, "lost": books.lost, "doubled": books.doubled, "wrong": books.wrong}

    def _report(self) -> dict[str, object]:
        measured = self._twin.report()
        kept = ("sessions", "max_loading", "overload_seconds", "breaker_trips", "frames_relayed", "frames_altered")
        times = sorted(self.take_overs_s)
        return {
            "kills": len(self.killed),
            "paused": self.paused,
            "ended": self.ended,
            "troubles": self.troubles,
            "went_on": self.went_on,
            "killed": {name: self.killed.count(name) for name in sorted(set(self.killed))},
            "take_over_s": {"count": len(times), "median": median(times), "max": times[-1]} if times else None,
            **{name: measured.get(name) for name in kept},
        }


def passed(report: Mapping[str, object]) -> bool:
    """Whether nothing was overloaded, lost, doubled, wrong or altered."""
    books = report["transactions"]
    assert isinstance(books, Mapping)
    unwanted = ("overload_seconds", "breaker_trips", "frames_altered")
    return not any(report[name] for name in unwanted) and not any(books[name] for name in ("lost", "doubled", "wrong"))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--database", help="postgresql://... of a database that may be filled")
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0")
    parser.add_argument(
        "--troubles",
        nargs="*",
        choices=TROUBLES,
        default=None,
        help="of servers of the drill's own; all without a name",
    )
    parser.add_argument("--chargers", type=int, default=6)
    parser.add_argument("--speed", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.database is None and given.troubles is None:
        parser.error("--database: name one that may be filled, or take --troubles, which starts servers of its own")
    with tempfile.TemporaryDirectory(prefix="headroom-drill-") as folder:
        report = asyncio.run(_drilled(given, Path(folder)))
    print_json(json.loads(json.dumps(report)))
    sys.exit(0 if passed(report) else 1)


async def _drilled(given: argparse.Namespace, folder: Path) -> dict[str, object]:
    options = DrillOptions(
        given.database,
        given.redis,
        f"drill-{free_port()}",
        folder,
        given.kills,
        given.chargers,
        given.speed,
        seed=given.seed,
    )
    if given.troubles is None:
        return await Drill(options).run()
    async with own_servers(folder, free_port) as servers:
        troubled = replace(
            options,
            database=servers.database_url,
            redis=servers.redis_url,
            servers=servers,
            troubles=given.troubles or TROUBLES,
            outage="hold",
        )
        return await Drill(troubled).run()


if __name__ == "__main__":
    main()
