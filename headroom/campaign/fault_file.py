"""Schedules of faults as files: what goes wrong, when and to whom, in YAML (or JSON, which is YAML too)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from domain.errors import HeadroomError, SiteFileError
from domain.site import Site
from inventory.site_yaml import Document, read_yaml
from simulators.faults import KINDS, Fault, FaultKind, targets_of

_TOP = ("about", "seed", "days", "faults")
_FIELDS = ("kind", "at_s", "for_s", "target", "value")


@dataclass(frozen=True, slots=True)
class FaultFile:
    """What a file says. `seed` and `days` are those of the run that it was made for, None where it does not tell."""

    faults: tuple[Fault, ...]
    seed: int | None = None
    days: float | None = None
    about: str = ""


def read_file(path: Path, site: Site) -> FaultFile:
    """Read a schedule for a site: a list of faults, or a mapping with `faults` and, if wanted, `seed`, `days`, `about`.

    Raises:
        HeadroomError: the file cannot be read.
        SiteFileError: an entry is not a fault that this site can have; names file, line, field and what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise HeadroomError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise HeadroomError(f"{path}: cannot be read: it is no UTF-8 text") from None
    return _Reader(read_yaml(text, str(path)), site).read()


def written(faults: Sequence[Fault], *, seed: int | None = None, days: float | None = None, about: str = "") -> str:
    """The YAML text of a schedule, one fault a line."""
    lines = [
        *([f"about: {json.dumps(about)}"] if about else []),
        *([f"seed: {seed}"] if seed is not None else []),
        *([f"days: {days:g}"] if days is not None else []),
        "faults:" if faults else "faults: []",
    ]
    for fault in faults:
        fields = [f"kind: {fault.kind}", f"at_s: {fault.at_s!r}"]
        fields += [f"for_s: {fault.for_s!r}"] if fault.for_s else []
        fields += [f"target: {json.dumps(fault.target)}"] if fault.target else []
        fields += [f"value: {fault.value!r}"] if KINDS[fault.kind].unit else []
        lines.append(f"  - {{{', '.join(fields)}}}")
    return "\n".join(lines) + "\n"


class _Reader:
    def __init__(self, document: Document, site: Site) -> None:
        self._document, self._site = document, site

    def read(self) -> FaultFile:
        document = self._document
        if document.problems:
            raise document.problems[0]
        value = document.value
        if isinstance(value, list):
            return FaultFile(self._faults(value, ()))
        if not isinstance(value, dict):
            raise self._refused((), f"expected a list of faults, or a mapping with 'faults', found {value!r}")
        self._only((), value, _TOP)
        if not isinstance(value.get("faults"), list):
            raise self._refused(("faults",), "expected a list of faults")
        seed, days = value.get("seed"), value.get("days")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
            raise self._refused(("seed",), f"found {seed!r}, allowed are whole numbers from 0 on")
        if days is not None:
            days = self._number(("days",), days, 0.01)
        return FaultFile(self._faults(value["faults"], ("faults",)), seed, days, str(value.get("about", "")))

    def _faults(self, entries: list[Any], path: tuple[str | int, ...]) -> tuple[Fault, ...]:
        return tuple(self._fault(entry, (*path, place)) for place, entry in enumerate(entries))

    def _fault(self, entry: Any, path: tuple[str | int, ...]) -> Fault:
        if not isinstance(entry, dict):
            raise self._refused(path, f"expected a fault with 'kind', found {entry!r}")
        self._only(path, entry, _FIELDS)
        kinds = [str(kind) for kind in FaultKind]
        if (named := entry.get("kind")) not in kinds:
            allowed = f"allowed are {', '.join(kinds)}"
            raise self._refused((*path, "kind"), f"found {named!r}; {_near(named, kinds)}{allowed}")
        kind = FaultKind(named)
        at_s = self._number((*path, "at_s"), entry.get("at_s", 0.0), 0.0)
        for_s = self._number((*path, "for_s"), entry.get("for_s", 0.0), 0.0)
        target = self._target((*path, "target"), kind, entry.get("target", ""))
        return Fault(kind, at_s, for_s, target, self._value((*path, "value"), kind, entry.get("value")))

    def _target(self, path: tuple[str | int, ...], kind: FaultKind, target: Any) -> str:
        targets = targets_of(self._site, KINDS[kind].victim)
        if targets and target not in targets:
            allowed = f"allowed are {', '.join(targets)}"
            raise self._refused(path, f"found {target!r}; {_near(target, targets)}{allowed}")
        if not targets and target:
            raise self._refused(path, f"found {target!r}: {kind} hits no single one at this site; leave it out")
        return str(target)

    def _value(self, path: tuple[str | int, ...], kind: FaultKind, value: Any) -> float:
        how = KINDS[kind]
        if how.values is None:
            if value not in (None, 0, 0.0):
                raise self._refused(path, f"found {value!r}: {kind} takes no value; leave it out")
            return 0.0
        if value is None:
            low, high = how.values
            raise self._refused(path, f"is missing: {kind} needs one in {how.unit}, such as {(low + high) / 2:g}")
        return self._number(path, value, None)

    def _number(self, path: tuple[str | int, ...], value: Any, least: float | None) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refused(path, f"found {value!r}, which is no number")
        if least is not None and value < least:
            raise self._refused(path, f"found {value!r}, allowed is {least:g} or more")
        return float(value)

    def _only(self, path: tuple[str | int, ...], found: dict[str, Any], allowed: Sequence[str]) -> None:
        for name in found:
            if name not in allowed:
                raise self._refused((*path, name), f"is no field of a schedule; allowed are {', '.join(allowed)}")

    def _refused(self, path: tuple[str | int, ...], message: str) -> SiteFileError:
        self._document.problem(path, message)
        return self._document.problems[-1]


def _near(found: object, names: Sequence[str]) -> str:
    near = get_close_matches(str(found), names, n=1)
    return f"did you mean '{near[0]}'? " if near else ""
