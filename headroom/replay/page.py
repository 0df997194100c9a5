"""The report as one HTML page that needs nothing else: words first, then figures, then how it was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO

import matplotlib as mpl
from matplotlib.figure import Figure

from headroom.replay.growth import Growth
from headroom.replay.verdict import ENOUGH, MOST_SHORT, Numbers, called

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;max-width:62rem;margin:2rem auto;padding:0 1rem;background:#fff}
h1{font-size:1.7rem;margin:0 0 .3rem}h2{font-size:1.2rem;margin:2.2rem 0 .6rem}
.lead{font-size:1.1rem}.cards{display:flex;flex-wrap:wrap;gap:1rem;margin:1.4rem 0}
.card{flex:1 1 12rem;border:1px solid #c8c8c8;border-radius:.4rem;padding:.8rem 1rem}
.card b{display:block;font-size:1.7rem;line-height:1.2}.card span{color:#444}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #ddd}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
figure{margin:1.2rem 0}figcaption{color:#444;font-size:.95rem}
svg{max-width:100%;height:auto}small,footer{color:#555}
@media print{body{margin:0;max-width:none}figure{break-inside:avoid}}
"""


@dataclass(frozen=True)
class Picture:
    """A figure and what it shows."""

    title: str
    caption: str
    figure: Figure


@dataclass(frozen=True)
class Story:
    """All that the page says."""

    site: str
    span: str
    evses: int
    free: Numbers
    run: Numbers
    growth: Sequence[Growth]
    money: str
    pictures: Sequence[Picture]
    method: Sequence[str]
    notes: Sequence[str]


def html(story: Story) -> str:
    """The page."""
    body = [
        f"<h1>{escape(story.site)}: would more chargers fit?</h1>",
        f"<p>{escape(story.span)}</p>",
        f'<p class="lead">{escape(" ".join(answer(story)))}</p>',
        _cards(story),
        "<h2>Side by side</h2>",
        _table(story),
    ]
    for picture in story.pictures:
        caption = f"<figcaption>{escape(picture.caption)}</figcaption>"
        body.append(f"<h2>{escape(picture.title)}</h2><figure>{_svg(picture)}{caption}</figure>")
    body.append("<h2>How this was found</h2>" + _list(story.method))
    body.append("<h2>What had to be assumed</h2>" + _list(story.notes or ["Nothing beyond the method above."]))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(story.site)}: replay</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n<footer><p><small>Written by headroom replay. A recording is the past: keep a margin for cold winters "
        "and new "
        "cars, and have an electrician confirm ratings before chargers are "
        "added.</small></p></footer>\n</body></html>\n"
    )


def answer(story: Story) -> list[str]:
    """The findings in sentences."""
    free, run = story.free, story.run
    said = []
    if free.overload_minutes > 0.0:
        tripped = f" and breakers would have tripped {free.breaker_trips} times" if free.breaker_trips else ""
        tripped = tripped or ", though no breaker would have tripped"
        said.append(
            f"Without control, charging would have overloaded a panel for {_duration(free.overload_minutes)}{tripped}."
        )
    else:
        said.append(
            "Without control nothing would have been overloaded: the fullest line reached "
            f"{free.max_loading:.0%} of its rating."
        )
    if run.overload_minutes > 0.0:
        said.append(f"Under {called(run.strategy)} panels are overloaded for {_duration(run.overload_minutes)}.")
    else:
        part = 100.0 if run.possible_kwh <= 0 else 100.0 * run.energy_kwh / run.possible_kwh
        said.append(
            f"Under {called(run.strategy)} no panel is ever overloaded, and cars get {part:.0f} % of the energy "
            "that they could have taken."
        )
    said += [growth_sentence(one) for one in story.growth]
    if run.base_overload_minutes > 0.0:
        said.append(
            f"The building alone, without any car, is above its limit for {_duration(run.base_overload_minutes)}."
        )
    return said


def growth_sentence(one: Growth) -> str:
    """How many more fit under one strategy."""
    name = "Without control" if one.strategy == "none" else f"Under {called(one.strategy)}"
    if one.first == 0:
        return f"{name} the chargers of the recording are already too many: {one.why}."
    if one.first is None:
        return f"{name} at least {one.fits} more chargers fit (no more were tried)."
    return f"{name} {one.fits} more chargers fit; with {one.first} more: {one.why}."


def _duration(minutes: float) -> str:
    return f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"


def _cards(story: Story) -> str:
    chosen = story.growth[-1]
    more = "0" if chosen.first == 0 else f"{chosen.fits}" + ("+" if chosen.first is None else "")
    cards = (
        (more, f"more chargers fit beside the {story.evses} there, under {called(chosen.strategy)}"),
        (str(story.free.breaker_trips), "breaker trips without control"),
        (str(story.run.breaker_trips), f"breaker trips under {called(story.run.strategy)}"),
        (f"{story.run.longest_wait_minutes:.0f} min", f"longest wait of a car under {called(story.run.strategy)}"),
    )
    parts = (f'<div class="card"><b>{escape(value)}</b><span>{escape(label)}</span></div>' for value, label in cards)
    return f'<div class="cards">{"".join(parts)}</div>'


def rows(story: Story) -> list[tuple[str, str, str]]:
    """The table: what, without control, under the strategy."""
    free, run = story.free, story.run

    def both(label: str, form: str, *names: str) -> tuple[str, str, str]:
        texts = [form.format(*(getattr(one, name) for name in names)) for one in (free, run)]
        return label, texts[0], texts[1]

    return [
        both("overload with EV charging, minutes", "{:.0f}", "overload_minutes"),
        both("breaker trips", "{:d}", "breaker_trips"),
        both("highest load of any line, of its rating", "{:.0%}", "max_loading"),
        both("energy charged, kWh (of what cars could have taken)", "{:.0f} ({:.0f})", "energy_kwh", "possible_kwh"),
        both(f"cost of that energy{story.money}", "{:.2f}", "cost"),
        both("mean wait per stay, minutes", "{:.1f}", "mean_wait_minutes"),
        both("longest wait, minutes", "{:.0f}", "longest_wait_minutes"),
        both(f"stays with less than {ENOUGH:.0%} of their energy", "{:.1%}", "short_share"),
        both("time in which some car was limited", "{:.0%}", "limited_share"),
    ]


def _table(story: Story) -> str:
    head = f'<tr><th></th><th class="n">no control</th><th class="n">{escape(called(story.run.strategy))}</th></tr>'
    lines = (
        f'<tr><td>{escape(label)}</td><td class="n">{escape(a)}</td><td class="n">{escape(b)}</td></tr>'
        for label, a, b in rows(story)
    )
    return f"<table>{head}{''.join(lines)}</table>"


def _list(items: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in items) + "</ul>"


def _svg(picture: Picture) -> str:
    target = StringIO()
    with mpl.rc_context({"svg.hashsalt": picture.title, "svg.fonttype": "none", "font.family": "sans-serif"}):
        picture.figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    text = target.getvalue()
    label = f'role="img" aria-label="{escape(picture.caption, quote=True)}" '
    return text[text.index("<svg") :].replace("<svg ", f"<svg {label}", 1)


def method(step_minutes: float, growth_span: str, strategy: str) -> list[str]:
    """How the numbers were found; for a reader who is no engineer."""
    return [
        f"The recording is played again in steps of {step_minutes:.0f} minutes, three times: without cars, with "
        "every car charging at full power from plug-in on "
        f"(no control), and under the controller ({strategy}), which is the code that runs live, asked at every step "
        "with the load of that step and what plugged-in cars have drawn so far. When they will leave and what they "
        "still want it is not told, unless the assumptions below say so.",
        "A car is taken to want the energy that it really took, and to draw what it was seen to draw at most (where "
        "no current was recorded: what its charger can give), while it was plugged in.",
        "Currents are added with their phase angles on every phase of every panel; the building's own load is added "
        "in the least favourable angle.",
        "Overload: more than the breaker's rating, or more than the part of it that may be used for continuous load. "
        "Breakers heat up by the square of the current and trip at 1.13 times the rating held long, "
        "faster above; after a trip the count goes on as if somebody had switched on again.",
        "More chargers: copies of the recorded ones, each with a recorded neighbour's cars some days later, are "
        f"added in {growth_span} until something goes wrong for the first time: "
        f"an overload, a trip, or more than {MOST_SHORT:.0%} of the stays ending with less than {ENOUGH:.0%} of the "
        "energy that their cars could have taken.",
        "Not in it: delays of chargers and networks (the live system keeps a reserve for them; `headroom simulate` "
        "has them), and loads between the steps.",
    ]
