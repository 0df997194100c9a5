"""A real browser on the real page of a running demo: what the page's tests are written in."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import needs
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

SCREENS = os.environ.get("HEADROOM_SCREENS")
"""A folder to write each screen to, as a picture: `HEADROOM_SCREENS=docs/screens make test ARGS=tests/page`."""

WIDE, PHONE = {"width": 1360, "height": 900}, {"width": 390, "height": 844}

# As root there is no sandbox; the rest keeps a browser from talking to anybody but the page.
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=60_000)
_RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}}


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Chromium without a window."""
    chromium = needs.program("chromium", "apt-get install chromium")
    needs.built_page()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield browser
        browser.close()


@contextmanager
def a_service(*arguments: str, ready: str) -> Iterator[re.Match[str]]:
    """`headroom ARGUMENTS` in a process of its own, once it has said `ready` (a pattern) on stdout."""
    command = [sys.executable, "-m", "headroom", *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                found = re.search(ready, line)
                if found is not None:
                    yield found
                    break
            else:
                raise AssertionError(f"{' '.join(command)} ended with {process.wait()}")
        finally:
            process.terminate()
            process.communicate()


@contextmanager
def a_demo(speed: int = 15) -> Iterator[str]:
    """The address of a running demo's page."""
    options = ("--speed", str(speed), "--api-port", "0", "--ocpp-port", "0")
    with a_service("demo", *options, ready=r"page and API (http://\S+)") as found:
        yield found[1]


@dataclass
class Visit:
    """One page in one browser, and everything it complained of."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)

    def open(self, place: str = "/") -> None:
        """Go there."""
        self.page.goto(self.url + place)

    def title(self) -> Locator:
        """The screen's own title."""
        return self.page.locator("main h1")

    def shows(self, text: str) -> None:
        """The screen has this title."""
        expect(self.title()).to_have_text(text)

    def loads(self, feeder: str) -> dict[str, tuple[float, float]]:
        """What the diagram says of a panel: the building's and the cars' A by phase."""
        bars = self.page.locator(".panel-box", has_text=f"Panel {feeder}").first.locator(".phase-bar")
        told = (bars.nth(number).get_attribute("aria-label") or "" for number in range(bars.count()))
        found = (re.match(r"Phase (\w): building ([\d.]+) A, cars ([\d.]+) A", text) for text in told)
        return {one[1]: (float(one[2]), float(one[3])) for one in found if one is not None}

    def violations(self) -> list[str]:
        """What axe finds wrong for people who see, hear or move otherwise."""
        source = (needs.page_packages() / "axe-core" / "axe.min.js").read_text()
        self.page.evaluate(source)
        found: dict[str, Any] = self.page.evaluate("rules => axe.run(document, rules)", _RULES)
        return [
            f"{one['id']}: {one['help']} at {[node['html'][:160] for node in one['nodes'][:3]]}"
            for one in found["violations"]
        ]

    def is_fine(self) -> None:
        """No violation, and nothing on the console."""
        found = [*self.violations(), *self.faults]
        if found:
            raise AssertionError("\n".join([self.page.url, *found]))

    def picture(self, name: str) -> None:
        """Write the screen down where pictures are asked for."""
        if SCREENS:
            Path(SCREENS).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(SCREENS) / f"{name}.png")


@contextmanager
def a_visit(browser: Browser, url: str, *, phone: bool = False, dark: bool = False) -> Iterator[Visit]:
    """A fresh visitor: no cookies, no choices made."""
    context = browser.new_context(
        viewport=PHONE if phone else WIDE,  # type: ignore[arg-type]  # Playwright's own typed dictionary
        device_scale_factor=2 if phone else 1,
        has_touch=phone,
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    visit = Visit(page, url)
    page.on("console", lambda said: visit.faults.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: visit.faults.append(str(error)))
    yield visit
    context.close()
