"""The newcomer's path on the real page of a running demo, at a desk and on a phone, and axe on each screen."""

from collections.abc import Iterator

import pytest
from browsing import Visit, a_browser, a_demo, a_visit
from playwright.sync_api import Browser, expect

PATIENCE_MS = 150_000
"""For the building to do something; a failing test waits as long, a passing one does not."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def demo(browser: Browser) -> Iterator[str]:
    with a_demo() as url:
        yield url


def until(visit: Visit, script: str, argument: object = None) -> None:
    """Wait until the page says so."""
    visit.page.wait_for_function(script, arg=argument, timeout=PATIENCE_MS, polling=200)


LOADS = """
([...document.querySelectorAll('.diagram > .panel > .panel-box .phase-bar')]).map(bar =>
  bar.getAttribute('aria-label')
    .match(/building ([\\d.]+) A, cars ([\\d.]+) A counted, ([\\d.]+) A/).slice(1).map(Number))
"""


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_a_newcomer_sees_why_limits_a_panel_and_lifts_it(browser: Browser, demo: str, phone: bool) -> None:
    with a_visit(browser, demo, phone=phone) as visit:
        page = visit.page
        visit.open()
        visit.shows("demo")
        expect(page.locator(".live")).to_contain_text("Live")

        # The tree moves.
        before = visit.loads("main")
        assert set(before) == {"A", "B", "C"}
        until(visit, f"before => JSON.stringify({LOADS}) !== before", page.evaluate(f"JSON.stringify({LOADS})"))
        until(visit, f"() => {LOADS}.some(([base, ev, drawn]) => drawn > 24)")
        if phone:
            visit.picture("site-phone")
        visit.is_fine()

        # An EVSE says why.
        tile = page.locator(".evse", has_text="Charging").first
        name = tile.locator(".evse-id").inner_text()
        tile.get_by_role("link").click()
        visit.shows(name)
        expect(page.locator(".why-reason")).to_contain_text(f"{name}: ")
        expect(page.locator(".chart canvas")).to_be_visible()
        visit.is_fine()

        # A limit, looked at before it is set.
        page.get_by_role("link", name="Site", exact=True).last.click()
        visit.shows("demo")
        until(visit, f"() => {LOADS}.some(([base, ev, drawn]) => drawn > 24)")
        loads = visit.loads("main").values()
        limit = round(max(base + ev / 2 for base, ev in loads))
        page.get_by_role("link", name="Limits").click()
        page.get_by_label("Panel", exact=True).select_option("main")
        page.get_by_label("Limit, A per phase").fill(str(limit))
        page.get_by_label("Reason").fill("grid operator: maintenance")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("heading", name="What it would do now")).to_be_visible()
        page.get_by_role("button", name="Set the limit").click()
        expect(page.get_by_text("The limit is set.")).to_be_visible()
        visit.picture("limits-phone" if phone else "limits")
        visit.is_fine()

        # The loads fall under it.
        page.get_by_role("link", name="Site", exact=True).click()
        expect(page.get_by_text(f"Limited to {limit} A")).to_be_visible()
        until(visit, f"limit => {LOADS}.every(([base, ev]) => base + ev <= limit + 0.5)", limit)
        visit.picture("site-limited-phone" if phone else "site-limited")

        # And it is lifted.
        page.get_by_role("link", name="Limits").click()
        page.get_by_role("button", name="Lift the limit on main").click()
        page.get_by_role("button", name="Lift", exact=True).click()
        expect(page.get_by_text("No panel is restricted.")).to_be_visible()
        page.get_by_role("link", name="Site", exact=True).click()
        expect(page.get_by_text(f"Limited to {limit} A")).to_have_count(0)
        visit.is_fine()


SCREENS = ("", "/timeline", "/sessions", "/meters", "/alerts", "/limits", "/analysis", "/settings", "/evses/P2-01")


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_every_screen_is_for_everybody(browser: Browser, demo: str, look: str) -> None:
    found: dict[str, list[str]] = {}
    with a_visit(browser, demo, phone=look == "phone", dark=look == "dark") as visit:
        for screen in SCREENS:
            visit.open(f"/#/demo{screen}")
            expect(visit.title()).to_be_visible()
            expect(visit.page.get_by_text("Loading …")).to_have_count(0)
            wide = visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            complaints = visit.violations() + ([] if wide <= 0 else [f"wider than the window by {wide} px"])
            if complaints:
                found[screen] = complaints
            if look != "phone":
                name = screen.removeprefix("/").partition("/")[0] or "site"
                visit.picture(f"{name}-{look}")
        assert visit.faults == []
    assert not found, "\n".join(f"{screen}: {one}" for screen, all_of in found.items() for one in all_of)


def test_the_keyboard_is_enough(browser: Browser, demo: str) -> None:
    with a_visit(browser, demo) as visit:
        page = visit.page
        visit.open()
        visit.shows("demo")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Skip to the content")
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        page.locator(".evse a").first.focus()
        page.keyboard.press("Enter")
        expect(page.locator("main h1")).to_be_focused()
        expect(page).to_have_url(f"{demo}/#/demo/evses/P1-01")


def test_the_theme_that_was_chosen_is_there_again_before_anything_is_drawn(browser: Browser, demo: str) -> None:
    with a_visit(browser, demo) as visit:
        visit.open()
        for chosen in ("Light", "Dark"):
            visit.page.locator("button", has_text="Theme:").click()
            expect(visit.page.locator("button", has_text=f"Theme: {chosen}")).to_be_visible()
        visit.open("/#/demo/meters")
        visit.page.reload()
        assert visit.page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_a_driver_sees_the_car_and_says_when_it_leaves(browser: Browser, demo: str) -> None:
    with a_visit(browser, demo) as visit:
        visit.open()
        visit.page.locator(".evse", has_text="Charging").first.get_by_role("link").click()
        code = visit.page.get_by_role("img", name="QR code of the driver's view")
        expect(code).to_be_visible()
        until(visit, "() => [...document.images].every(image => image.naturalWidth > 0)")
        link = visit.page.get_by_role("link", name="Open").get_attribute("href")
        assert link is not None
    with a_visit(browser, demo, phone=True) as visit:
        page = visit.page
        visit.open(link)
        expect(visit.title()).to_contain_text("Charging point")
        page.get_by_label("How much energy do you need, kWh?").fill("24,5")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved. Thank you.")).to_be_visible()
        expect(page.get_by_text("of 24.5 kWh wished")).to_be_visible()
        visit.picture("driver")
        visit.is_fine()
        visit.open("/driver/not-a-link")
        expect(visit.title()).to_have_text("This link does not hold any more")
        assert visit.violations() == []
