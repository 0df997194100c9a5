"""The visit: each charger in turn, identity, meter, link, power, clock. Limits are only ever lowered.

A link is taken away only where the panel has room for the EVSE at its full current: whatever its fall-back turns out to
be, nothing is overloaded by the test.
"""

from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from domain.errors import HeadroomError
from domain.ports import Clock
from domain.site import Phase
from headroom.commissioning.asking import Asker
from headroom.commissioning.judging import Absence, Judged, Level, drawn_while_away, judge_absence, judge_meter
from headroom.commissioning.record import FALL_BACK_STEPS, Finding, Record, Step, Trace, Verdict
from headroom.commissioning.site_api import Seen, SiteApi, Terms
from headroom.commissioning.watching import Pace, Watcher, looks

_STEP_A = 6.0
_CAR_A = 4.0
"""How much more than its fall-back the car must draw before a test begins."""
_LEVELS = 7
_TRIES = 3
_BASELINE = 4
_HELD_A = 6.0
"""How far above its fall-back an EVSE is held before and after: the meter step's error counts by this much alone."""
_SLACK_S = 10.0
_RESET = timedelta(hours=1)
"""A charger's stamps that are further off show that its clock was reset."""
_ORDERS = {
    Step.POWER: (
        "Switch {}'s charger off at its breaker, wait 10 s, switch it on again. Leave the network out. Start the car "
        "again if that can be done without the network.",
        "cut",
        "its power cannot be cut",
    ),
    Step.CLOCK: (
        "Set the clock of {}'s charger to 1970 in its service menu, or leave it without power until its clock is lost. "
        "Leave the network out, and the car charging.",
        "reset",
        "its clock cannot be reset: how it falls back then is not known",
    ),
}
_NAMES = {
    Step.IDENTITY: "identity",
    Step.METER: "phases and meter",
    Step.LINK: "link lost",
    Step.POWER: "power cut without a link",
    Step.CLOCK: "clock reset without a link",
}


def name_of(step: Step) -> str:
    """What a step is called."""
    return _NAMES[step]


def terms_of(document: dict[str, Any]) -> dict[str, Terms]:
    """The EVSEs of a terms document, by id."""
    known = {field.name for field in fields(Terms)}
    found = {}
    for one in document["evses"]:
        values = {name: value for name, value in one.items() if name in known}
        values["phases"] = tuple(Phase(phase) for phase in one["phases"])
        values["path"] = tuple(one["path"])
        found[one["evse"]] = Terms(**values)
    return found


@dataclass
class Visit:
    """Carries steps out and writes down what they found; `kept` is called after each."""

    api: SiteApi
    asker: Asker
    clock: Clock
    record: Record
    evses: dict[str, Terms]
    pace: Pace

    def to_do(self, only: list[str], again: list[Step]) -> list[tuple[Terms, Step]]:
        """The steps that are left: of these EVSEs (all without any), and those that are to be done again."""
        unknown = set(only) - set(self.evses)
        if unknown:
            raise HeadroomError(f"--evse: must be one of {', '.join(self.evses)}, not {', '.join(sorted(unknown))}")
        chosen = [one for evse, one in self.evses.items() if not only or evse in only]
        return [
            (one, step)
            for one in chosen
            for step in Step
            if step in again or not self.record.has_passed(one.evse, step)
        ]

    async def carry_out(self, terms: Terms, step: Step) -> Finding:
        """One step. What cannot be tried is `UNCLEAR` or `SKIPPED`, with the reason."""
        self.asker.tell(f"{terms.evse} ({terms.charger}): {name_of(step)}")
        watcher = Watcher(self.api, self.clock, terms, self._others(terms), self.pace)
        try:
            match step:
                case Step.IDENTITY:
                    judged, trace = await self._identity(terms)
                case Step.METER:
                    judged, trace = await self._meter(watcher)
                case _:
                    judged, trace = await self._fall_back(watcher, step)
        finally:
            await self.api.let_go(terms.evse)
        finding = Finding(
            terms.charger,
            terms.evse,
            step,
            judged.verdict,
            judged.text,
            self.clock.now(),
            dict(judged.figures),
            trace,
        )
        self.record.take(finding)
        self.asker.tell(f"  {judged.verdict}: {judged.text}")
        return finding

    def _others(self, terms: Terms) -> list[Terms]:
        """The EVSEs that the same meter sees."""
        feeder = terms.metered_by
        return [
            one for one in self.evses.values() if one.evse != terms.evse and feeder is not None and feeder in one.path
        ]

    # Who it is

    async def _identity(self, terms: Terms) -> tuple[Judged, None]:
        charger = (await self.api.chargers())[terms.charger]
        if not charger["linked"]:
            return Judged(Verdict.FAILED, f"{terms.charger} has no link: look at its address and its network"), None
        told = " ".join(str(charger[name]) for name in ("vendor", "model", "firmware") if charger[name])
        sentence = (
            f"{terms.charger}, connector {terms.connector}: {told or 'told nothing of itself'}, {charger['version']}"
        )
        text = f"Look at the charger at {terms.evse}. Does its label fit this: {sentence}?"
        if not await self.asker.done(f"{terms.evse}/identity/label", text):
            return Judged(Verdict.FAILED, f"the label does not fit: {sentence}"), None
        return Judged(Verdict.PASSED, sentence), None

    # Phases, sign and scale of the meter

    async def _meter(self, watcher: Watcher) -> tuple[Judged, Trace | None]:
        terms = watcher.terms
        if terms.metered_by is None:
            return Judged(Verdict.UNCLEAR, "no meter sees it: nothing can be proven by meters here"), None
        wiring = (await self.api.evse(terms.evse))["wiring"]
        if wiring is not None and wiring["verdict"] == "wrong":
            return Judged(Verdict.FAILED, f"the detector found: {wiring['text']}"), None
        if not await self._car_draws(watcher, terms.min_a + _STEP_A):
            return Judged(
                Verdict.UNCLEAR, f"no car drew {terms.min_a + _STEP_A:g} A at {terms.evse} in good time"
            ), None
        judged = await self._steps(watcher)
        for _ in range(_TRIES - 1):
            if judged.verdict is Verdict.UNCLEAR:
                self.asker.tell(f"  {judged.text}; once more")
                judged = await self._steps(watcher)
        if wiring is not None and wiring["verdict"] == "as_written":
            judged = Judged(judged.verdict, f"{judged.text}; the detector agrees", judged.figures)
        return judged, watcher.trace([one.drawn_a or 0.0 for one in watcher.new], None, None)

    async def _steps(self, watcher: Watcher) -> Judged:
        """Lower the EVSE and give it back, several times, and judge what its meter showed."""
        terms = watcher.terms
        levels: list[Level] = []
        for number in range(_LEVELS):
            limit_a = terms.min_a + _STEP_A * (number % 2)
            await self.api.lower(terms.evse, limit_a, min(900.0, 2 * self.pace.patience_s))
            watcher.mark(f"{limit_a:g} A")
            await watcher.until(partial(_draws, limit_a))
            level = await watcher.level()
            if level is None:
                return Judged(Verdict.UNCLEAR, f"the current did not settle at {limit_a:g} A")
            levels.append(level)
        return judge_meter(levels, terms.phases)

    async def _car_draws(self, watcher: Watcher, least_a: float) -> bool:
        """A car that takes so much, brought by a person where there is none."""
        evse = watcher.terms.evse

        def enough(seen: Seen) -> bool:
            return seen.drawn_a is not None and seen.drawn_a >= least_a

        charges = (await watcher.look()).drawn_a or 0.0
        if charges > 1.0 and await watcher.until(enough, self.pace.grace_s) is not None:
            return True  # one that was lowered needs a while to rise
        text = f"Plug a car in at {evse} and start it: it must draw {least_a:g} A or more."
        return await self.asker.done(f"{evse}/car", text) and await watcher.until(enough) is not None

    # Fall-backs

    async def _fall_back(self, watcher: Watcher, step: Step) -> tuple[Judged, Trace | None]:
        terms = watcher.terms
        if (found := self._known_already(terms, step) or await self._not_now(watcher)) is not None:
            return found, None
        meter = self.record.findings[f"{terms.evse}/{Step.METER}"]
        await self._hold(watcher)
        earlier = await watcher.readings(_BASELINE, fresh=True)
        away, problem = await self._while_away(watcher, step)
        if problem is not None:
            return problem, None
        after = await self._afterwards(watcher)
        ratio = {
            phase: meter.figures[f"ratio_{phase}"]
            for phase in terms.phases
            if abs(meter.figures.get(f"ratio_{phase}", 0.0)) > 0.5
        }
        watch_s = self.pace.watch_s if step is Step.LINK else self.pace.power_watch_s
        start = watcher.new[0].at
        before, meanwhile, afterwards = (looks(part, start) for part in (earlier, away, after))
        error = meter.figures["error"]
        seen = Absence(before, meanwhile, afterwards, ratio, terms.failsafe_a, watch_s, error)
        judged = judge_absence(seen)
        window = (away[0].at, away[-1].at) if away else None
        figures = dict(judged.figures)
        if step is Step.POWER and judged.verdict is Verdict.PASSED:
            figures["clock_off_s"] = await self._clock_off_s(watcher)
        judged = Judged(judged.verdict, judged.text, figures)
        return judged, watcher.trace(self._drawn(watcher, seen), window, terms.failsafe_a)

    def _drawn(self, watcher: Watcher, seen: Absence) -> list[float]:
        """The EVSE's current at every reading, for the figure: by its meter, with the rest of the tests' beginning."""
        if not seen.before.at_s or not seen.after.at_s:
            return [one.drawn_a or 0.0 for one in watcher.new]
        return drawn_while_away(replace(seen, away=looks(watcher.new, watcher.new[0].at)))

    def _known_already(self, terms: Terms, step: Step) -> Judged | None:
        """What earlier steps have shown of this one."""
        if not self.record.has_passed(terms.evse, Step.METER):
            return Judged(Verdict.SKIPPED, "the meter must have passed first: it is what shows the fall-back")
        earlier = ((one, self.record.of(terms.evse, one)) for one in FALL_BACK_STEPS if one is not step)
        failed = next((one for one, seen in earlier if seen is not None and seen.verdict is Verdict.FAILED), None)
        if failed is not None:
            return Judged(Verdict.SKIPPED, f"the step '{name_of(failed)}' has shown already that it does not hold")
        power = self.record.of(terms.evse, Step.POWER)
        off_s = 0.0 if power is None else power.figures.get("clock_off_s", 0.0)
        if step is not Step.CLOCK or power is None or abs(off_s) < _RESET.total_seconds():
            return None
        days = abs(off_s) / 86_400
        text = f"the power cut had reset its clock (by {days:.0f} days) while it kept to its fall-back: {power.text}"
        return Judged(Verdict.PASSED, text, {"clock_off_s": off_s})

    async def _not_now(self, watcher: Watcher) -> Judged | None:
        """Why the link may not be taken away now; None where a car charges and the panel has room for all it can do."""
        terms = watcher.terms
        if not await self._car_draws(watcher, terms.failsafe_a + _CAR_A):
            return Judged(Verdict.UNCLEAR, f"no car drew more than {terms.failsafe_a + _CAR_A:g} A in good time")
        more_a = max(0.0, terms.max_a - (await watcher.look()).counted_a)
        left = await self.api.headroom()
        for feeder in terms.path:
            for phase in set(terms.phases) & set(left[feeder]):
                if left[feeder][phase] < more_a:
                    told = f"{feeder} phase {phase} has {left[feeder][phase]:.0f} A left, {more_a:.0f} A are needed"
                    return Judged(Verdict.UNCLEAR, f"not tried: {told} in case it goes to {terms.max_a:g} A; try later")
        return None

    async def _clock_off_s(self, watcher: Watcher) -> float:
        """How far the charger's own stamps were off in what it said of the time without its link, s."""
        since = min(at for at, _ in watcher.marks) - timedelta(minutes=1)
        worst_s = 0.0
        for one in await self.api.messages(watcher.terms.charger, since):
            for stamp in _stamps(one["payload"]):
                off_s = (stamp - datetime.fromisoformat(one["at"])).total_seconds()
                worst_s = max(worst_s, off_s, key=abs)
        return round(worst_s)

    async def _hold(self, watcher: Watcher) -> None:
        """Lower the EVSE to not far above its fall-back, and wait until it is there."""
        held_a = max(watcher.terms.min_a, watcher.terms.failsafe_a + _HELD_A)
        await self.api.lower(watcher.terms.evse, held_a, 900.0)
        await watcher.until(lambda seen: seen.drawn_a is not None and seen.drawn_a <= held_a + 1.0)

    async def _while_away(self, watcher: Watcher, step: Step) -> tuple[list[Seen], Judged | None]:
        """Take the link away, do what the step is about, and look. The link is asked back in any case."""
        evse = watcher.terms.evse
        if not await self.asker.done(
            f"{evse}/{step}/pull", f"Pull the network cable of {evse}'s charger (or its SIM)."
        ):
            return [], Judged(Verdict.SKIPPED, "its link cannot be taken away")
        try:
            return await self._unlinked(watcher, step)
        finally:
            watcher.mark("link back")
            await self.asker.done(f"{evse}/{step}/back", f"Put the network of {evse}'s charger back.")

    async def _unlinked(self, watcher: Watcher, step: Step) -> tuple[list[Seen], Judged | None]:
        terms = watcher.terms
        if await watcher.until(lambda seen: not seen.linked) is None:
            return [], Judged(Verdict.UNCLEAR, "the service still hears it: was the right cable pulled?")
        watcher.mark("link lost")
        hold_s = terms.hold_s + terms.response_s + _SLACK_S
        self.asker.tell(f"  waiting {hold_s:.0f} s until the fall-back is due")
        await watcher.watch(hold_s)
        if step is Step.LINK:
            return await self._watched(watcher, self.pace.watch_s), None
        text, what, no = _ORDERS[step]
        if not await self.asker.done(f"{terms.evse}/{step}/{what}", text.format(terms.evse)):
            return [], Judged(Verdict.SKIPPED, no)
        watcher.mark(what)
        return await self._watched(watcher, self.pace.power_watch_s), None

    async def _watched(self, watcher: Watcher, seconds: float) -> list[Seen]:
        """The readings of a window. Should the link come back meanwhile, they end there."""
        found = await watcher.watch(seconds + _SLACK_S)
        back = next((number for number, seen in enumerate(found) if seen.linked), len(found))
        return found[:back]

    async def _afterwards(self, watcher: Watcher) -> list[Seen]:
        """The rest of the building again, with the EVSE's current known; the car is started again where it stopped."""
        terms = watcher.terms
        if await watcher.until(lambda seen: seen.linked) is None:
            return []
        if not await self._car_draws(watcher, terms.failsafe_a + _CAR_A / 2):
            return []
        await self._hold(watcher)
        return await watcher.readings(_BASELINE, fresh=True)


def _draws(about_a: float, seen: Seen) -> bool:
    return seen.drawn_a is not None and abs(seen.drawn_a - about_a) <= 1.0


def _stamps(payload: object) -> list[datetime]:
    """The times in a message."""
    if isinstance(payload, list):
        return [stamp for one in payload for stamp in _stamps(one)]
    if not isinstance(payload, dict):
        return []
    found = [stamp for one in payload.values() for stamp in _stamps(one)]
    text = payload.get("timestamp")
    if isinstance(text, str):
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return found
        if at.tzinfo is not None:
            found.append(at)
    return found


def finished(record: Record, evses: list[str]) -> bool:
    """Whether every EVSE's fall-back was shown."""
    return all(record.is_proven(evse) for evse in evses)
