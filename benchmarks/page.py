"""The page with 500 EVSEs that change once a second: frames a second, the API's lists, and what both do to the relay.

The service is one process, chargers and CSMS another, the browser (Chromium, niced: it is the reader's machine that
draws) a third. Each round has three phases: the page closed; the page open; the page open while every list of the API
is asked for in turn, as an operator's tools would. Frames are counted by the page itself, on the site screen, on which
every EVSE is drawn. Relay latency is that of a charger's message from its socket to the CSMS's. What is not there in
its time ends the run with a word on what was late; a list that is late counts with the time that it was waited for.
"""

import asyncio
import math
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Final, NoReturn

import httpx
from playwright.async_api import Page, async_playwright
from playwright.async_api import TimeoutError as PlaywrightTimeoutError
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks._page_chargers import Chargers, Passed, chargers_that_charge
from benchmarks._service import Running, serving
from benchmarks.report import Line, Measured
from headroom.console import err

EVSES: Final = 500
ROUNDS: Final = 4
PHASE_S: Final = 6.0
SETTLE_S: Final = 3.0
LISTS_PER_S: Final = 16.0
_ALL_WITHIN_S: Final = 280.0
_STARTS_WITHIN_S: Final = 45
_DRAWN_WITHIN_S: Final = 45.0
_LIST_WITHIN_S: Final = 5.0
_LISTS: Final = {
    **{name: name for name in ("evses", "chargers", "sessions", "decisions", "limits", "alarms", "meters")},
    "driver's link": "../../evses/s0-e0/driver-link",
}
_FLAGS: Final = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]

# Frames, and how many EVSEs were drawn anew, in so many milliseconds.
_COUNT = """
ms => new Promise(done => {
  const drawn = new Set(), seen = new MutationObserver(changes => {
    for (const one of changes) drawn.add(one.target.parentElement?.closest('.evse'));
  });
  seen.observe(document.querySelector('.diagram'), {subtree: true, characterData: true});
  let frames = 0;
  const begun = performance.now();
  const frame = now => {
    frames++;
    if (now - begun < ms) requestAnimationFrame(frame);
    else { seen.disconnect(); done([frames * 1000 / (now - begun), drawn.size]); }
  };
  requestAnimationFrame(frame);
})
"""


def run() -> list[Line]:
    """Interleaved phases; `ModuleNotFoundError` where there is no Chromium, `TimeoutError` where something is late."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise ModuleNotFoundError("chromium is not installed", name="chromium")
    loads = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    err.print(f"page: the machine's load before it starts is {loads} (1, 5, 15 min) on {os.cpu_count()} cores")
    return asyncio.run(_measured(chromium))


@contextmanager
def _within(seconds: int, what: str) -> Iterator[None]:
    """`TimeoutError` where what does not wait on the loop takes longer."""

    def late(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise _late(what, seconds)

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _drawn(what: str) -> Iterator[None]:
    """`TimeoutError` where the browser does not come so far in its time."""
    try:
        yield
    except PlaywrightTimeoutError:
        raise _late(what, _DRAWN_WITHIN_S) from None


def _late(what: str, seconds: float) -> TimeoutError:
    loads = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return TimeoutError(f"{what}: not within {seconds:g} s. The machine's load is {loads} on {os.cpu_count()} cores")


@contextmanager
def _niced(chromium: str) -> Iterator[str]:
    """A program that is Chromium, and steps back where the service wants the processor.

    Playwright gives it a session of its own. Where Linux groups tasks by session (autogroup), the groups share the
    processor as equals whatever their tasks' niceness, so it is the group that must be niced too.
    """
    group_too = "[ -w /proc/self/autogroup ] && echo 19 >/proc/self/autogroup"
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "chromium")
        script.write_text(f'#!/bin/sh\n{group_too}\nexec nice -n 19 {chromium} "$@"\n')
        script.chmod(0o755)
        yield str(script)


@asynccontextmanager
async def _page(chromium: str, base: str, token: str) -> AsyncIterator[Page]:
    """The page, logged in."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        try:
            page = await (await browser.new_context(viewport={"width": 1360, "height": 900})).new_page()
            page.set_default_timeout(_DRAWN_WITHIN_S * 1000)
            with _drawn("the page is there, and lets its reader in"):
                await page.goto(base)
                await page.get_by_label("Token").fill(token)
                await page.get_by_role("button", name="Log in").click()
                await page.locator(".diagram").wait_for()
            yield page
        finally:
            await browser.close()


class _Steps:
    """How far the run is: a bar on a terminal, a line for each step elsewhere."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=3 + 3 * ROUNDS)
        self.now = ""

    def begin(self, what: str) -> None:
        """The step before is done, and this one begins."""
        self._bar.update(self._task, advance=1 if self.now else 0, description=what)
        self.now = what
        if not err.is_terminal:
            err.print(f"page: {what}")


async def _measured(chromium: str) -> list[Line]:
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=err) as bar:
        steps, rounds = _Steps(bar), None
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_ALL_WITHIN_S):
                    rounds = await _begun(chromium, steps, stack)
                    await _play(rounds, steps)
            except TimeoutError as error:
                why = str(error) or str(_late(f"all of the run (it was at: {steps.now})", _ALL_WITHIN_S))
                if rounds is None or not rounds.asked.median_ms:
                    raise TimeoutError(why) from None
                err.print(f"page: figures of {len(rounds.asked.median_ms)} of {ROUNDS} rounds. {why}")
    return rounds.lines()


async def _begun(chromium: str, steps: _Steps, stack: AsyncExitStack) -> "_Rounds":
    """Everything is there, and the page is logged in."""
    steps.begin("the service starts")
    chargers = await stack.enter_async_context(chargers_that_charge(EVSES))
    with _within(_STARTS_WITHIN_S, f"the service for {EVSES} EVSEs listens"):
        service = stack.enter_context(serving(EVSES, chargers.csms_port, per_site=EVSES))
    steps.begin(f"{EVSES} chargers come in")
    await chargers.connect(service.ocpp_port)
    steps.begin("the browser starts")
    base = f"http://127.0.0.1:{service.api_port}"
    page = await stack.enter_async_context(_page(stack.enter_context(_niced(chromium)), base, service.token))
    client = httpx.AsyncClient(
        base_url=f"{base}/api/v1/sites/garage-0/",
        headers={"Authorization": f"Bearer {service.token}"},
        trust_env=False,
        timeout=_LIST_WITHIN_S,
    )
    return _Rounds(service, chargers, page, await stack.enter_async_context(client), f"{base}/#/garage-0")


async def _play(rounds: "_Rounds", steps: _Steps) -> None:
    for number in range(ROUNDS):
        for name, phase in rounds.phases().items():
            steps.begin(f"round {number + 1} of {ROUNDS}: {name}")
            await phase()


@dataclass
class _Phase:
    """What was measured in one kind of phase, a value for each round."""

    median_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    changes_per_s: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    messages: int = 0

    def add(self, passed: Passed, cpu_s: float) -> None:
        """A round's."""
        self.median_ms.append(median(passed.relayed_ms))
        self.p99_ms.append(_p99(passed.relayed_ms))
        self.changes_per_s.append(passed.per_s)
        self.cores.append(cpu_s / passed.seconds)
        self.messages += len(passed.relayed_ms)


@dataclass
class _Rounds:
    """The phases, and what they have brought so far."""

    service: Running
    chargers: Chargers
    page: Page
    client: httpx.AsyncClient
    address: str
    closed: _Phase = field(default_factory=_Phase)
    open: _Phase = field(default_factory=_Phase)
    asked: _Phase = field(default_factory=_Phase)
    frames: list[float] = field(default_factory=list)
    drawn: list[float] = field(default_factory=list)
    lists_ms: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _LISTS})
    late: Counter[str] = field(default_factory=Counter)

    def phases(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Those of one round, in their order."""
        return {"page closed": self.with_page_closed, "page open": self.with_page_open, "lists": self.with_lists}

    async def with_page_closed(self) -> None:
        """The relay alone."""
        await self.page.goto("about:blank")
        await asyncio.sleep(SETTLE_S)
        await self._measure(self.closed, asyncio.sleep(PHASE_S))

    async def with_page_open(self) -> None:
        """Frames."""
        with _drawn(f"the page has drawn {EVSES} EVSEs"):
            await self.page.goto(self.address)
            await self.page.locator(".evse").nth(EVSES - 1).wait_for(state="attached")
        await asyncio.sleep(SETTLE_S)
        await self._measure(self.open, self._count_frames())

    async def with_lists(self) -> None:
        """The page stays open, and lists are asked for."""
        await self._measure(self.asked, self._ask())

    async def _measure(self, phase: _Phase, work: Awaitable[object]) -> None:
        await self.chargers.passed()
        begun_s = self.service.cpu_s()
        await work
        passed = await self.chargers.passed()
        if len(passed.relayed_ms) < EVSES:
            raise TimeoutError(f"{len(passed.relayed_ms)} messages were relayed within {passed.seconds:.0f} s")
        phase.add(passed, self.service.cpu_s() - begun_s)

    async def _count_frames(self) -> None:
        async with asyncio.timeout(PHASE_S + _DRAWN_WITHIN_S):
            per_s, drawn = await self.page.evaluate(_COUNT, PHASE_S * 1000)
        self.frames.append(float(per_s))
        self.drawn.append(float(drawn))

    async def _ask(self) -> None:
        """Each list in turn at its time, whether or not the one before is there, as several operators' tools do."""
        begun_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(int(PHASE_S * LISTS_PER_S)):
                await asyncio.sleep(max(0.0, begun_s + number / LISTS_PER_S - time.perf_counter()))
                group.create_task(self._ask_for(list(_LISTS)[number % len(_LISTS)]))

    async def _ask_for(self, name: str) -> None:
        asked_s = time.perf_counter()
        try:
            async with asyncio.timeout(_LIST_WITHIN_S):
                (await self.client.get(_LISTS[name])).raise_for_status()
        except (TimeoutError, httpx.TimeoutException):
            self.late[name] += 1
        self.lists_ms[name].append((time.perf_counter() - asked_s) * 1000)

    def lines(self) -> list[Line]:
        """The table."""
        what = f"{EVSES} EVSEs"
        asked = [took_ms for one in self.lists_ms.values() for took_ms in one]
        if self.late:
            told = ", ".join(f"{count} of {name}" for name, count in self.late.items())
            err.print(f"page: lists that were not there within {_LIST_WITHIN_S:g} s: {told}")
        changes = [*self.closed.changes_per_s, *self.open.changes_per_s, *self.asked.changes_per_s]
        return [
            _line(f"{what}: changes relayed a second", changes, "1/s", bar=0.95 * EVSES, at_least=True),
            _line(f"{what}: frames a second", self.frames, "1/s", bar=30.0, at_least=True),
            _line(f"{what}: EVSEs drawn anew in a round", self.drawn, "", bar=0.95 * EVSES, at_least=True),
            _line(f"{what}: every list, p99 of {len(asked)}", [_p99(asked)], "ms", bar=50.0),
            *(
                _line(f"{what}: {name}, p99 of {len(took_ms)}", [_p99(took_ms)], "ms", bar=50.0)
                for name, took_ms in self.lists_ms.items()
            ),
            *self._relay(what, "page open", self.open, 1.10),
            *self._relay(what, "page open, lists asked for", self.asked, None),
            _line(f"{what}: the service's processor, page closed", self.closed.cores, "cores"),
            _line(f"{what}: the same, page open", self.open.cores, "cores"),
            _line(f"{what}: the same, page open, lists asked for", self.asked.cores, "cores"),
        ]

    def _relay(self, what: str, when: str, phase: _Phase, bar: float | None) -> list[Line]:
        """Against the page closed."""
        case = f"{what}: relay, {when} ({phase.messages} messages) over closed ({self.closed.messages})"
        return [
            _line(case, phase.median_ms, "ms", over=self.closed.median_ms, bar=bar),
            _line(f"{what}: relay, {when}, p99", phase.p99_ms, "ms", over=self.closed.p99_ms),
        ]


def _line(
    case: str,
    values: Sequence[float],
    unit: str,
    *,
    over: Sequence[float] | None = None,
    bar: float | None = None,
    at_least: bool = False,
) -> Line:
    return Line(case, Measured(tuple(values)), None if over is None else Measured(tuple(over)), unit, bar, at_least)


def _p99(values: Sequence[float]) -> float:
    """By nearest rank: the largest of fewer than a hundred."""
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]
