"""The quirk record of a site's chargers: what they showed, what their models showed, what a person wrote."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from domain.errors import HeadroomError
from domain.events import QuirksLearned
from domain.ids import ChargerId
from domain.quirks import UNKNOWN, Model, Quirks

_CONFIGURED = ("measurands", "sample_interval_s", "takes_measurands", "csms_measurands", "csms_interval_s")
_OWN = ("proven", "obeys", "probed_at", *_CONFIGURED)
"""What one charger shows of itself and not of its model: not inherited."""
_NOT_EDITED = ("proven", "probed_at", *_CONFIGURED)
FIELDS = tuple(one.name for one in fields(Quirks))
EDITABLE = tuple(name for name in FIELDS if name not in _NOT_EDITED)
_HINTS = get_type_hints(Quirks)


class QuirkError(HeadroomError):
    """A quirk that cannot be written: names the field, the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class ChargerQuirks:
    """What one charger showed while it was of `model`, and what a person wrote of it (JSON values by field)."""

    charger: ChargerId
    model: Model | None = None
    learned: Quirks = UNKNOWN
    edits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelQuirks:
    """What chargers of one model and firmware showed, the newest of each; and what a person wrote of all of them."""

    model: Model
    learned: Quirks = UNKNOWN
    edits: Mapping[str, Any] = field(default_factory=dict)


class QuirkBook:
    """The record of some chargers (a `domain.quirks.KnownQuirks`). What changes returns the records to be stored.

    A person's word stands above what was learnt, the charger's own above its model's; the site file's write budget
    stands between. The models are shared by all sites of a database: each site reads them when it starts.
    """

    def __init__(
        self,
        budgets: Mapping[ChargerId, int | None],
        chargers: Iterable[ChargerQuirks] = (),
        models: Iterable[ModelQuirks] = (),
    ) -> None:
        """`budgets`: the chargers that there are, and the profile writes a day that the site file allows them."""
        self._budgets = budgets
        self.chargers = {charger: ChargerQuirks(charger) for charger in budgets}
        self.chargers.update({one.charger: one for one in chargers if one.charger in self.chargers})
        self.models = {one.model: one for one in models}
        self._effective: dict[ChargerId, Quirks] = {}

    def of_charger(self, charger: ChargerId) -> Quirks:
        """See `KnownQuirks`; nothing is known of a charger of another site."""
        known = self.chargers.get(charger)
        if known is None:
            return UNKNOWN
        if charger not in self._effective:
            self._effective[charger] = self._combined(known, known.model)
        return self._effective[charger]

    def model_of(self, charger: ChargerId) -> Model | None:
        """See `KnownQuirks`."""
        known = self.chargers.get(charger)
        return None if known is None else known.model

    def as_model(self, charger: ChargerId, model: Model) -> Quirks:
        """See `KnownQuirks`."""
        known = self.chargers.get(charger, ChargerQuirks(charger))
        return self._combined(replace(known, learned=UNKNOWN), model)

    def learn(self, event: QuirksLearned) -> list["ChargerQuirks | ModelQuirks"]:
        """Takes what a charger showed; empty where that is not news. Of another model it showed nothing before."""
        known = self.chargers.get(event.charger)
        if known is None:
            return []
        before = known.learned if known.model in (None, event.model) else UNKNOWN
        record = replace(known, model=event.model, learned=_over(before, event.quirks))
        found: list[ChargerQuirks | ModelQuirks] = [] if record == known else [record]
        self.chargers[event.charger] = record
        if event.model is not None:
            of_model = self.models.get(event.model, ModelQuirks(event.model))
            learned = _over(of_model.learned, replace(event.quirks, **dict.fromkeys(_OWN)))
            after = replace(of_model, learned=learned)
            if after != of_model:
                self.models[event.model] = after
                found.append(after)
        for one in found:
            if isinstance(one, ModelQuirks):
                self._effective.clear()
            else:
                self._effective.pop(one.charger, None)
        return found

    def edit_charger(self, charger: ChargerId, edits: Mapping[str, Any]) -> ChargerQuirks:
        """Replaces what a person wrote of a charger of this site. `QuirkError` for what cannot be true."""
        self.chargers[charger] = replace(self.chargers[charger], edits=checked(edits))
        self._effective.clear()
        return self.chargers[charger]

    def edit_model(self, model: Model, edits: Mapping[str, Any]) -> ModelQuirks:
        """Replaces what a person wrote of a model. `QuirkError` for what cannot be true."""
        known = self.models.get(model, ModelQuirks(model))
        self.models[model] = replace(known, edits=checked(edits))
        self._effective.clear()
        return self.models[model]

    def _combined(self, known: ChargerQuirks, model: Model | None) -> Quirks:
        of_model = self.models.get(model) if model is not None else None
        found = known.learned
        if of_model is not None:
            found = _over(replace(of_model.learned, **dict.fromkeys(_OWN)), found)
        budget = self._budgets.get(known.charger)
        if budget is not None:
            found = replace(found, write_budget_per_day=budget)
        for edits in (of_model.edits if of_model is not None else {}, known.edits):
            found = replace(found, **_typed(edits))
        return found


def checked(edits: Mapping[str, Any]) -> dict[str, Any]:
    """A person's word, field by field; a field with null is taken back. `QuirkError` for what cannot be true."""
    found = {name: value for name, value in edits.items() if value is not None}
    for name, value in edits.items():
        if name not in EDITABLE:
            raise QuirkError(f"quirk '{name}' is not one that can be written: {', '.join(EDITABLE)}")
        try:
            typed = msgspec.convert(value, _HINTS[name])
        except msgspec.ValidationError:
            typed = NotImplemented
        if typed is NotImplemented or (isinstance(typed, int) and typed < 0):
            raise QuirkError(f"quirk '{name}': {value!r} is not allowed: {allowed(name)}")
    return found


def allowed(name: str) -> str:
    """What a quirk that can be written may be, in words."""
    (kind,) = (one for one in get_args(_HINTS[name]) if one is not type(None))
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    if get_origin(kind) is tuple:
        (item, _) = get_args(kind)
        return f"a list of {' or '.join(get_args(item))}"
    return "true or false" if kind is bool else "a whole number, 0 or more"


def _typed(edits: Mapping[str, Any]) -> dict[str, Any]:
    return {name: msgspec.convert(value, _HINTS[name]) for name, value in edits.items() if name in FIELDS}


def _over(below: Quirks, above: Quirks) -> Quirks:
    """Field by field what is known above, else what is known below."""
    known = {name: value for name in FIELDS if (value := getattr(above, name)) is not None}
    return replace(below, **known)
