"""The page with 500 EVSEs that change once a second: frames a second, the API's lists, and what both do to the relay.

The service is one process, chargers and CSMS another, the browser (Chromium, niced: it is the reader's machine that
draws) a third. Rounds without and with page and API are interleaved. Frames are counted by the page itself, on the site
screen, on which every EVSE is drawn. Relay latency is that of a charger's message from its socket to the CSMS's, as the
median of a round; every list of the API is asked for ten times a second in all, as an operator's tools would.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import httpx
from playwright.async_api import Page, async_playwright

from benchmarks._service import Running, serving
from benchmarks.report import Line, Measured

EVSES: Final = 500
ROUNDS: Final = 5
ROUND_S: Final = 6.0
SETTLE_S: Final = 3.0
LISTS_PER_S: Final = 10.0
_PATIENCE_MS: Final = 120_000
_LISTS: Final = ("evses", "chargers", "sessions", "decisions", "limits", "alarms?standing=true", "meters")
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
    """Interleaved rounds; `ModuleNotFoundError` where there is no Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise ModuleNotFoundError("chromium is not installed", name="chromium")
    with _load() as load, _niced(chromium) as browser:
        assert load.stdout is not None
        with serving(EVSES, int(load.stdout.readline()), per_site=EVSES) as service:
            _say(load, str(service.ocpp_port))
            assert load.stdout.readline() == "ready\n"
            return asyncio.run(_measure(browser, service, load))


@contextmanager
def _load() -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", "benchmarks._page_load", str(EVSES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def _niced(chromium: str) -> Iterator[str]:
    """A program that is Chromium, and steps back where the service wants the processor."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "chromium")
        script.write_text(f'#!/bin/sh\nexec nice -n 19 {chromium} "$@"\n')
        script.chmod(0o755)
        yield str(script)


def _say(load: "subprocess.Popen[str]", text: str) -> None:
    assert load.stdin is not None
    load.stdin.write(f"{text}\n")
    load.stdin.flush()


async def _relayed_ms(load: "subprocess.Popen[str]") -> list[float]:
    """What was relayed since this was asked last."""
    assert load.stdout is not None
    _say(load, "")
    found: list[float] = json.loads(await asyncio.to_thread(load.stdout.readline))
    return found


async def _measure(chromium: str, service: Running, load: "subprocess.Popen[str]") -> list[Line]:
    alone, beside, p99s, frames, drawn, lists = [], [], [], [], [], []
    base = f"http://127.0.0.1:{service.api_port}"
    headers = {"Authorization": f"Bearer {service.token}"}
    async with (
        async_playwright() as playwright,
        httpx.AsyncClient(
            base_url=f"{base}/api/v1/sites/garage-0/", headers=headers, trust_env=False, timeout=60
        ) as client,
    ):
        browser = await playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        page = await (await browser.new_context(viewport={"width": 1360, "height": 900})).new_page()
        page.set_default_timeout(_PATIENCE_MS)
        await _log_in(page, base, service.token)
        for _ in range(ROUNDS):
            await page.goto("about:blank")
            await asyncio.sleep(SETTLE_S)
            await _relayed_ms(load)
            await asyncio.sleep(ROUND_S)
            without = await _relayed_ms(load)
            await page.goto(f"{base}/#/garage-0")
            await page.locator(".evse").nth(EVSES - 1).wait_for(state="attached")
            await asyncio.sleep(SETTLE_S)
            await _relayed_ms(load)
            asking = asyncio.gather(_ask(client, ROUND_S))
            (fps, redrawn), (took_ms,) = await page.evaluate(_COUNT, ROUND_S * 1000), await asking
            with_both = await _relayed_ms(load)
            frames.append(float(fps))
            drawn.append(float(redrawn))
            lists.append(_p99(took_ms))
            alone.append(median(without))
            beside.append(median(with_both))
            p99s.append((_p99(without), _p99(with_both)))
        await browser.close()
    what = f"{EVSES} EVSEs, each new every second"
    return [
        Line(f"{what}: frames a second", Measured(tuple(frames)), None, "1/s", 30.0, at_least=True),
        Line(f"{what}: EVSEs drawn anew in a round", Measured(tuple(drawn)), None, "", 0.95 * EVSES, at_least=True),
        Line(f"{what}: lists, p99", Measured(tuple(lists)), None, "ms", 50.0),
        Line(f"{what}: relay latency with page and API", Measured(tuple(beside)), Measured(tuple(alone)), "ms", 1.10),
        Line(
            f"{what}: the same, p99",
            Measured(tuple(one for _, one in p99s)),
            Measured(tuple(one for one, _ in p99s)),
            "ms",
        ),
    ]


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


async def _log_in(page: Page, base: str, token: str) -> None:
    await page.goto(base)
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Log in").click()
    await page.locator(".diagram").wait_for(timeout=60_000)


async def _ask(client: httpx.AsyncClient, seconds: float) -> list[float]:
    """Milliseconds of each list, one after the other."""
    took_ms: list[float] = []
    begun_s = time.perf_counter()
    for number in range(int(seconds * LISTS_PER_S)):
        await asyncio.sleep(max(0.0, begun_s + number / LISTS_PER_S - time.perf_counter()))
        asked_s = time.perf_counter()
        (await client.get(_LISTS[number % len(_LISTS)])).raise_for_status()
        took_ms.append((time.perf_counter() - asked_s) * 1000)
    return took_ms
