"""One replay from files to findings: read, lay on a grid, run without and with control, see how many more fit."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from domain.site import Site, Strategy
from headroom.figure_style import save
from headroom.replay import figures
from headroom.replay.day_grid import Grid
from headroom.replay.growth import STEP, Growth, busiest_week, room_to_grow
from headroom.replay.laying import on_grid
from headroom.replay.message_log import read_database, read_message_log
from headroom.replay.page import Picture, Story, answer, html, method, rows
from headroom.replay.recording import Recording, RecordingError
from headroom.replay.shadow import TOLD_KINDS, Shadow, run_shadow
from headroom.replay.tables import read_table
from headroom.replay.tariff import Prices, prices_for
from headroom.replay.verdict import numbers
from headroom.site_input import read_sites

Told = Callable[[float, str], None]
_LINES = {".jsonl", ".ndjson"}


@dataclass(frozen=True)
class Wish:
    """What is asked of a replay beside the recording and the site; None: the default of the command."""

    strategy: Strategy | None = None
    prices: str | None = None
    flat_price: float | None = None
    days: float | None = None
    step: timedelta | None = None
    most_added: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Replayed:
    """What was found: the JSON document, and the story for people."""

    document: dict[str, object]
    story: Story

    @property
    def answer(self) -> list[str]:
        """In sentences."""
        return answer(self.story)

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """Side by side."""
        return rows(self.story)


def read_recording(files: Sequence[Path], site: Site) -> Recording:
    """All files together.

    Raises:
        RecordingError, PlanInputError: naming file, line and field.
    """
    found = Recording()
    for file in files:
        name = file.with_suffix("") if file.suffix == ".gz" else file
        reader = read_message_log if name.suffix in _LINES else read_database if _is_database(file) else read_table
        found = found.joined(reader(file, site))
    return found


def _is_database(file: Path) -> bool:
    try:
        with file.open("rb") as source:
            return source.read(16) == b"SQLite format 3\x00"
    except OSError:
        return False


def replay_files(files: Sequence[Path], site_file: Path, wish: Wish, told: Told) -> Replayed:
    """The whole replay.

    Raises:
        HeadroomError: a file cannot be used.
    """
    told(0.0, "reading")
    (site,) = read_sites([site_file])
    strategy: Strategy = wish.strategy or site.strategy
    site = replace(site, strategy=strategy)
    recording = read_recording(files, site)
    grid = on_grid(recording, site, wish.step or STEP, wish.days, wish.seed)
    if wish.step is None and grid.ends - grid.begins <= timedelta(days=7):
        grid = on_grid(recording, site, timedelta(minutes=5), wish.days, wish.seed)
    prices = prices_for(grid, wish.prices, wish.flat_price)
    free = run_shadow(grid, "none", lambda done: told(0.05 + 0.05 * done, "no control"))
    run = run_shadow(grid, strategy, lambda done: told(0.1 + 0.4 * done, strategy))
    most = max(24, 4 * len(site.evses)) if wish.most_added is None else wish.most_added
    week = busiest_week(_coarse(recording, grid, wish))
    found = [room_to_grow(week, "none", most, lambda done: told(0.5 + 0.1 * done, "more chargers, no control"))]
    if strategy != "none":
        found.append(
            room_to_grow(week, strategy, most, lambda done: told(0.6 + 0.4 * done, f"more chargers, {strategy}"))
        )
    story = _story(grid, free, run, found, prices, week)
    return Replayed(_document(story, grid, prices, found), story)


def _coarse(recording: Recording, grid: Grid, wish: Wish) -> Grid:
    """The same recording in steps of 15 min at least: growth asks for many runs."""
    return grid if grid.step >= STEP else on_grid(recording, grid.site, STEP, wish.days, wish.seed)


def _story(grid: Grid, free: Shadow, run: Shadow, found: Sequence[Growth], prices: Prices, week: Grid) -> Story:
    zone = ZoneInfo(grid.site.timezone)
    begins, ends = (at.astimezone(zone) for at in (grid.begins, grid.ends))
    day_figure, day_text = figures.worst_day(grid, free, run)
    pictures = [
        Picture("The worst day", day_text, day_figure),
        Picture(
            "How long how much was carried",
            "Every step's fullest line, sorted: left of where a curve crosses 100 % it is too much.",
            figures.durations(grid, free, run),
        ),
        Picture(
            "What drivers got", f"{len(run.served)} stays of the recording under {run.name}.", figures.drivers(run)
        ),
        Picture(
            "How many more fit",
            "Chargers in the recording and chargers that can be added.",
            figures.growth_figure(len(grid.site.evses), found),
        ),
    ]
    span = (
        f"the seven days from {week.begins.astimezone(zone):%d %B %Y}"
        if week.steps < grid.steps
        else "the whole recording"
    )
    return Story(
        site=str(grid.site.id),
        span=f"{begins:%d %B %Y %H:%M} to {ends:%d %B %Y %H:%M}, {len(grid.site.evses)} chargers, {len(grid.stays)} "
        "stays.",
        evses=len(grid.site.evses),
        free=numbers(free, grid, prices.per_kwh),
        run=numbers(run, grid, prices.per_kwh),
        growth=tuple(found),
        money=f", {prices.currency}" if prices.currency else "",
        pictures=pictures,
        method=method(grid.step / timedelta(minutes=1), span, run.name),
        notes=(*grid.notes, *_foreknown(grid.site), *_looking_ahead(run.name), f"energy is priced by {prices.source}"),
    )


def _foreknown(site: Site) -> tuple[str, ...]:
    """What the scheduler is told that nobody may have told at the time."""
    kind = site.scheduler.kind
    if site.strategy == "none" or kind not in TOLD_KINDS:
        return ()
    return (f"{kind} is told each car's departure and energy as they came to be: drivers who tell them exactly",)


def _looking_ahead(strategy: str) -> tuple[str, ...]:
    """What a reader must know of strategies that plan: a recording has no forecasts of its time."""
    if strategy not in {"dro", "so", "ro"}:
        return ()
    return (f"{strategy} decides from the present load alone here: there is no forecast made at the time to plan with",)


def _document(story: Story, grid: Grid, prices: Prices, found: Sequence[Growth]) -> dict[str, object]:
    chosen, run = found[-1], story.run
    return {
        "site": story.site,
        "strategy": run.strategy,
        "from": grid.begins.isoformat(),
        "to": grid.ends.isoformat(),
        "step_minutes": grid.step / timedelta(minutes=1),
        "evses": story.evses,
        "stays": run.stays,
        "overload_minutes": round(run.overload_minutes, 2),
        "energy_kwh": round(run.energy_kwh, 3),
        "energy_possible_kwh": round(run.possible_kwh, 3),
        "cost": round(run.cost, 2),
        "currency": prices.currency,
        "mean_wait_s": round(60.0 * run.mean_wait_minutes, 1),
        "longest_wait_s": round(60.0 * run.longest_wait_minutes, 1),
        "breaker_trips": run.breaker_trips,
        "would_have_tripped": story.free.breaker_trips > 0,
        "added_evses_that_fit": chosen.fits,
        "added_evses_to_first_violation": chosen.first,
        "violation": chosen.why if chosen.first is not None else None,
        "runs": {"none": story.free.as_json(), run.strategy: run.as_json()},
        "growth": {one.strategy: vars(one) for one in found},
        "assumptions": list(story.notes),
    }


def write_replay(found: Replayed, folder: Path) -> tuple[Path, ...]:
    """Write the page, its figures (PNG, SVG) and the document.

    Raises:
        RecordingError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        page = folder / "replay.html"
        page.write_text(html(found.story), encoding="utf-8")
        document = folder / "replay.json"
        document.write_text(json.dumps(found.document, indent=1) + "\n", encoding="utf-8")
        files = [page, document]
        for picture in found.story.pictures:
            files += save(picture.figure, folder, picture.title.lower().replace(" ", "_"))
    except OSError as problem:
        raise RecordingError(folder, None, "--out", f"cannot be written: {problem.strerror or problem}") from problem
    return tuple(files)
