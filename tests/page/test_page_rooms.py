"""The screens beside the diagram, on a running demo: what each is opened for is done there, by mouse or by keys."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from browsing import Visit, a_browser, a_demo, a_visit
from playwright.sync_api import Browser, Locator, Route, expect

PATIENCE_MS = 90_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def demo(browser: Browser) -> Iterator[str]:  # the browser first: without one no demo is started
    with a_demo(speed=20) as url:
        yield url


@pytest.fixture
def visit(browser: Browser, demo: str) -> Iterator[Visit]:
    with a_visit(browser, demo) as visit:
        yield visit


def answered(visit: Visit, pattern: str, document: object, status: int = 200) -> None:
    """The service's answer, given by the test."""

    def answer(route: Route) -> None:
        kind = "application/json" if status < 400 else "application/problem+json"
        route.fulfill(status=status, content_type=kind, body=json.dumps(document))

    visit.page.route(re.compile(pattern), answer)


def column(table: Locator, number: int) -> list[str]:
    return table.locator(f"tbody tr td:nth-child({number}) .cell-value").all_inner_texts()


def test_the_load_on_the_timeline_is_the_service_s(visit: Visit) -> None:
    """What is drawn comes from the load's own history: its last step moves while the screen is open."""
    page = visit.page
    with page.expect_response(lambda one: "/load?" in one.url) as first:
        visit.open("/#/demo/timeline")
    later = page.wait_for_event(
        "response",
        lambda one: "/load?" in one.url and one.json()["at"] != first.value.json()["at"],
        timeout=PATIENCE_MS,
    )
    # The first minute may have brought nothing yet.
    assert later.json()["at"][-1:] > first.value.json()["at"][:1]


def test_sessions_are_sorted_filtered_and_taken_along(visit: Visit) -> None:
    page = visit.page
    visit.open("/#/demo/sessions")
    table = page.get_by_role("table", name="Sessions")
    expect(table).to_be_visible(timeout=PATIENCE_MS)
    with page.expect_response(lambda one: "order=most_energy" in one.url):
        table.get_by_role("button", name="Energy").click()
    expect(table.get_by_role("columnheader", name="Energy")).to_have_attribute("aria-sort", "descending")
    expect(table.get_by_role("columnheader", name="Started")).to_have_attribute("aria-sort", "none")
    energies = [float(text.removesuffix(" kWh")) for text in column(table, 5)]
    assert energies == sorted(energies, reverse=True)

    name = column(table, 1)[0]
    with page.expect_response(lambda one: f"evse={name}" in one.url):
        page.get_by_label("EVSE", exact=True).select_option(name)
    expect(table.locator("tbody tr").filter(has_not_text=name)).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    text = download.value.path().read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["evse"] for row in rows} == {name}
    assert len(rows) >= table.locator("tbody tr").count()

    page.get_by_label("To day").fill("2020-01-01")
    expect(page.get_by_text("No session in this time.")).to_be_visible()
    visit.is_fine()


def test_a_meter_is_fresh_and_shows_what_it_read(visit: Visit) -> None:
    page = visit.page
    visit.open("/#/demo/meters")
    expect(page.get_by_role("heading", name="m-main")).to_be_visible()
    expect(page.get_by_role("region", name="m-main").get_by_text("Phase B")).to_be_visible()
    page.get_by_text("Show the readings of m-main").click()
    expect(page.get_by_role("img", name="Readings of meter m-main, current of each phase")).to_be_visible()
    visit.picture("meters")
    visit.is_fine()


def test_a_silent_meter_and_a_service_that_fails_say_so(visit: Visit) -> None:
    page = visit.page
    silent = {"id": "m-x", "feeder": None, "stale_after_s": 60, "reading": None, "age_s": None, "stale": True}
    answered(visit, r"/sites/demo/meters", {"items": [silent], "next": None})
    visit.open("/#/demo/meters")
    expect(page.get_by_text("Never heard")).to_be_visible()
    visit.is_fine()

    answered(visit, r"/sites/demo/analysis", {"title": "The database does not answer", "detail": "disk full"}, 503)
    visit.open("/#/demo/analysis")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("disk full")
    page.unroute_all()
    alert.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Month by month")).to_be_visible()
    assert visit.violations() == []


ALARM: dict[str, Any] = {
    "kind": "stale_meter",
    "subject": "m-main",
    "text": "meter <b>m-main</b> is silent",
    "raised_at": "2026-03-02T17:00:00Z",
    "cleared_at": None,
    "meaning": "a meter has been silent",
    "advice": "see whether the meter is down",
}


def test_an_alert_says_what_to_do_and_one_that_is_over_is_told_below(visit: Visit) -> None:
    page = visit.page
    over = {**ALARM, "kind": "ladder_fell", "subject": "demo", "cleared_at": "2026-03-02T17:10:00Z"}
    answered(visit, r"/alarms\?standing", {"items": [ALARM], "next": None})
    answered(visit, r"/alarms\?limit", {"items": [ALARM, over], "next": None})
    visit.open("/#/demo/alerts")
    now = page.get_by_role("region", name="Now")
    expect(now.get_by_role("heading", name="A meter is silent")).to_be_visible()
    expect(now.get_by_text("see whether the meter is down")).to_be_visible()
    expect(now.get_by_text("meter <b>m-main</b> is silent")).to_be_visible()
    expect(page.get_by_role("link", name="Alerts")).to_contain_text("1")
    before = page.get_by_role("region", name="Before")
    expect(before.get_by_text("A simpler way decided: demo")).to_be_visible()
    expect(before.get_by_text("for 10 min")).to_be_visible()
    visit.picture("alerts-standing")
    visit.is_fine()


def test_a_limit_is_checked_field_by_field_seen_before_it_is_set_and_may_begin_later(visit: Visit) -> None:
    page = visit.page
    visit.open("/#/demo/limits")
    page.get_by_role("button", name="Preview").click()
    amps = page.get_by_label("Limit, A per phase")
    expect(amps).to_be_focused()
    expect(amps).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("Say why.")).to_be_visible()
    page.get_by_label("Panel", exact=True).select_option("p2")
    amps.fill("12,5")
    page.get_by_label("Reason").fill("a test of the page")
    page.get_by_label("From").fill("2031-05-01T12:00")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("table", name="What it would do now")).to_be_visible()
    assert visit.violations() == []
    amps.fill("13")
    expect(page.get_by_role("button", name="Set the limit")).to_have_count(0)
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Set the limit").click()
    row = page.get_by_role("listitem").filter(has_text="a test of the page")
    expect(row).to_contain_text("13 A")
    expect(row).to_contain_text("To come")
    expect(row).to_contain_text("1 May, 12:00")
    row.get_by_role("button", name="Lift the limit on p2").click()
    row.get_by_role("button", name="Lift", exact=True).click()
    expect(page.get_by_text("The limit is lifted.")).to_be_visible()
    expect(row).to_have_count(0)
    visit.is_fine()


def test_who_decides_is_switched_and_switched_back(visit: Visit) -> None:
    page = visit.page
    visit.open("/#/demo/settings")
    page.get_by_label("Scheduler").select_option("edf")
    page.get_by_role("button", name="Switch").click()
    expect(page.get_by_text("The next decision is made this way")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Scheduler")).to_have_value("edf")
    page.get_by_role("button", name="Back to the site file").click()
    expect(page.get_by_label("Scheduler")).to_have_value("round_robin")
    visit.is_fine()


def test_what_is_known_of_a_charger_is_corrected_in_words_that_the_service_takes(visit: Visit) -> None:
    page = visit.page
    visit.open("/#/demo/settings")
    page.get_by_role("button", name="Edit what is written of CP003").click()
    form = page.get_by_role("form", name="Written of CP003")
    form.get_by_role("button", name="Add a line").click()
    form.get_by_label("Quirk").fill("after_zero")
    form.get_by_label("Value").fill("sings")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("after_zero")
    assert len(visit.faults) == 1, "the browser itself notes the answer 422"
    visit.faults.clear()
    form.get_by_label("Value").fill("stays_paused")
    form.get_by_role("button", name="Save").click()
    row = page.get_by_role("row").filter(has_text="CP003")
    expect(row).to_contain_text("1 written by you")
    page.get_by_role("button", name="Edit what is written of CP003").click()
    form.get_by_role("button", name="Remove after_zero").click()
    form.get_by_role("button", name="Save").click()
    expect(row).not_to_contain_text("written by you")
    visit.is_fine()


def test_a_token_is_shown_once_revoked_and_in_the_audit_trail_without_its_text(visit: Visit) -> None:
    page = visit.page
    visit.open("/#/demo/settings")
    form = page.get_by_role("form", name="Make a token")
    form.get_by_label("Name").fill("a test's gateway")
    form.get_by_label("Role").select_option("meter")
    form.get_by_label("Holds for, days").fill("7")
    form.get_by_role("button", name="Make a token").click()
    text = page.locator(".shown-once code").inner_text()
    assert text.startswith("hr_")
    visit.picture("settings-token")
    assert visit.violations() == []
    page.get_by_role("button", name="I have kept it").click()
    expect(page.get_by_text(text)).to_have_count(0)
    row = page.get_by_role("row").filter(has_text="a test's gateway")
    expect(row).to_contain_text("meter")
    row.get_by_role("button", name="Revoke a test's gateway").click()
    row.get_by_role("button", name="Revoke", exact=True).click()
    expect(row).to_contain_text("Revoked")
    page.reload()
    expect(page.get_by_text("POST /api/v1/tokens").first).to_be_visible()
    assert text not in page.content()
    visit.is_fine()


def test_months_are_told_in_figures_and_as_a_table(visit: Visit) -> None:
    page = visit.page
    visit.open("/#/demo/analysis")
    visit.picture("analysis")
    table = page.get_by_role("table", name="Month by month")
    expect(table.locator("tbody tr")).to_have_count(6)
    page.get_by_label("Months shown").select_option("12")
    expect(table.locator("tbody tr")).to_have_count(12)
    expect(page.get_by_text("By taking turns")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert {row["feeder"] for row in rows} == {"main", "p1", "p2"}
    visit.is_fine()


def test_a_role_is_offered_what_it_may(visit: Visit) -> None:
    """The service refuses the rest in any case (test_roles.py); the page does not hold it out."""
    page = visit.page
    viewer = {"id": "x", "name": "x", "role": "viewer", "via": "open", "sites": None, "evses": None, "csrf": None}
    answered(visit, r"/api/v1/me$", {**viewer, "permissions": ["open", "self", "site", "read", "evse"]})
    visit.open("/#/demo/limits")
    visit.shows("Limits")
    expect(page.get_by_role("heading", name="In force and to come")).to_be_visible()
    expect(page.get_by_text("Restrict a panel")).to_have_count(0)
    visit.open("/#/demo/settings")
    expect(page.get_by_label("Strategy")).to_be_disabled()
    expect(page.get_by_text("API tokens")).to_have_count(0)
    expect(page.get_by_text("Edit", exact=True)).to_have_count(0)
    answered(visit, r"/api/v1/me$", {**viewer, "role": "grid_operator", "permissions": ["self", "site", "limit"]})
    visit.open("/#/demo/limits")
    page.reload()
    expect(page.get_by_text("Restrict a panel")).to_be_visible()
    expect(page.get_by_role("navigation", name="Screens").get_by_role("link")).to_have_text(
        ["Site", "Meters", "Limits"]
    )


def test_the_timeline_goes_back_to_any_decision_and_says_what_else_might_have_been(visit: Visit) -> None:
    page = visit.page
    visit.open("/#/demo/timeline?feeder=p1")
    visit.shows("Timeline")
    expect(page.get_by_label("Panel", exact=True)).to_have_value("p1")
    expect(page.get_by_role("img", name=re.compile("Load of panel p1, phase [ABC]"))).to_be_visible(timeout=PATIENCE_MS)
    slider = page.get_by_label("Decision at")
    page.wait_for_function("() => Number(document.querySelector('#scrubber')?.max) >= 4", timeout=PATIENCE_MS)
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    chosen = page.locator("output")
    decided = page.locator(".decision time")
    expect(decided).to_have_text(chosen.inner_text())
    first = decided.inner_text()
    expect(slider).to_have_attribute("aria-valuetext", first)
    page.evaluate("scrollTo(0, 0)")
    visit.picture("timeline")

    page.get_by_role("button", name="Decision before").click()
    expect(decided).not_to_have_text(first)
    page.get_by_role("button", name="Decision after").click()
    expect(decided).to_have_text(first)

    page.get_by_label("Strategy").select_option("fcfs")
    told = page.get_by_text(re.compile("With first come, first served .* instead of|The same for every EVSE"))
    expect(told.first).to_be_visible()
    page.locator("summary", has_text="What it looked at").click()
    expect(page.get_by_role("table", name="What it looked at").get_by_text("meter").first).to_be_visible()
    visit.picture("timeline-decision")
    visit.is_fine()

    link = page.get_by_role("link", name="Link to this decision").get_attribute("href")
    visit.open("/#/demo/sessions")
    visit.shows("Sessions")
    visit.open(f"/{link}")
    expect(decided).to_have_text(first)
    page.get_by_role("button", name="Now").click()
    expect(page.get_by_text("Follows the present")).to_be_visible()
