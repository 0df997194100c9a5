"""Reading the input file of a plan (YAML or JSON) so that every complaint names file, line and field."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from domain.errors import HeadroomError
from ems.planning.horizon import Vector

# No price, power or energy of any site comes near; above it a solver's arithmetic ends.
_MOST = 1e12


class PlanInputError(HeadroomError):
    """An input that cannot be used; its text names the file, the line and the field, and says what is allowed."""

    def __init__(self, file: str, line: int | None, field: str, message: str) -> None:
        self.file, self.line, self.field = file, line, field
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {field}: {message}" if field else f"{where}: {message}")


class Fields:
    """One mapping of an input file. Every getter raises `PlanInputError`; `done` refuses keys that nobody asked for."""

    def __init__(self, file: str, node: yaml.MappingNode, path: str = "") -> None:
        self._file, self._path, self._line = file, path, node.start_mark.line + 1
        self._values: dict[str, yaml.Node] = {}
        self._asked: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise PlanInputError(file, key.start_mark.line + 1, path, "a field's name must be a plain word")
            if key.value in self._values:
                raise PlanInputError(file, key.start_mark.line + 1, self._name(str(key.value)), "is given twice")
            self._values[str(key.value)] = value

    def error(self, field: str, message: str) -> PlanInputError:
        """A complaint about one field (or the mapping itself, where the field is absent)."""
        node = self._values.get(field)
        return PlanInputError(self._file, node.start_mark.line + 1 if node else self._line, self._name(field), message)

    def number(self, field: str, default: float | None = None, *, low: float = -np.inf, high: float = np.inf) -> float:
        """A finite number in [low, high]; without a default it must be there."""
        value = self._scalar(field)
        if value is None:
            if default is None:
                raise self.error(field, f"is missing: a number {_range(low, high)} is needed")
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.error(field, f"must be a number {_range(low, high)}, it is {value!r}")
        if not abs(value) <= _MOST:
            raise self.error(field, f"must be at most {_MOST:g} in size, it is {value!r}")
        return float(value)

    def optional(self, field: str, *, low: float = -np.inf) -> float | None:
        """A number, or None where the field is absent or null."""
        return None if self._scalar(field) is None else self.number(field, low=low)

    def integer(self, field: str, default: int | None = None, *, low: int = 0, high: int = 10**9) -> int:
        """A whole number in [low, high]."""
        value = self.number(field, default, low=low, high=high)
        if value != int(value):
            raise self.error(field, f"must be a whole number, it is {value:g}")
        return int(value)

    def flag(self, field: str, default: bool) -> bool:
        """True or false."""
        value = self._scalar(field)
        if value is not None and not isinstance(value, bool):
            raise self.error(field, f"must be true or false, it is {value!r}")
        return default if value is None else value

    def text(self, field: str, default: str | None = None, *, allowed: tuple[str, ...] = ()) -> str:
        """A text, or a number as text; one of `allowed` where given."""
        value = self._scalar(field)
        if value is None and default is None:
            raise self.error(field, "is missing")
        found = str(default if value is None else value)
        if allowed and found not in allowed:
            raise self.error(field, f"must be one of {', '.join(allowed)}, it is '{found}'")
        return found

    def vector(self, field: str, length: int | None = None, *, low: float = -np.inf) -> Vector | None:
        """A list of numbers, or one number for all `length` slots; None where absent."""
        self._asked.add(field)
        node = self._values.get(field)
        if node is None:
            return None
        if isinstance(node, yaml.ScalarNode):
            if length is None:
                raise self.error(field, "must be a list of numbers, one per slot")
            return np.full(length, self.number(field, low=low))
        values = [self._element(field, place, item, low) for place, item in enumerate(_items(node))]
        if not values or (length is not None and len(values) != length):
            raise self.error(field, f"has {len(values)} values, {length or 'at least 1'} are needed, one per slot")
        return np.array(values)

    def rows(self, field: str) -> Iterator["Fields"]:
        """The mappings of a list."""
        self._asked.add(field)
        node = self._values.get(field)
        if not isinstance(node, yaml.SequenceNode):
            raise self.error(field, "is missing: a list is needed" if node is None else "must be a list")
        for place, item in enumerate(node.value):
            if not isinstance(item, yaml.MappingNode):
                raise PlanInputError(
                    self._file, item.start_mark.line + 1, f"{self._name(field)}[{place}]", "must have named fields"
                )
            yield Fields(self._file, item, f"{self._name(field)}[{place}]")

    def matrix(self, field: str, *, low: float = -np.inf) -> Vector:
        """A list of equally long lists of numbers."""
        self._asked.add(field)
        node = self._values.get(field)
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self.error(field, "must be a list of lists of numbers, one list per slot")
        rows = [
            [self._element(f"{field}[{place}]", column, item, low) for column, item in enumerate(_items(row))]
            for place, row in enumerate(node.value)
        ]
        for place, row in enumerate(rows):
            if len(row) != len(rows[0]) or not row:
                line = node.value[place].start_mark.line + 1
                raise PlanInputError(
                    self._file,
                    line,
                    f"{self._name(field)}[{place}]",
                    f"has {len(row)} values, the first {len(rows[0])}",
                )
        return np.array(rows)

    def done(self) -> None:
        """Refuse what was given and never read: a misspelt field must not pass in silence."""
        for field in self._values:
            if field not in self._asked:
                raise self.error(field, f"is not known here; known are {', '.join(sorted(self._asked))}")

    def _name(self, field: str) -> str:
        return f"{self._path}.{field}" if self._path else field

    def _scalar(self, field: str) -> object:
        self._asked.add(field)
        node = self._values.get(field)
        if node is None:
            return None
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(field, "must be one value, not a list or mapping")
        return _read(node)

    def _element(self, field: str, place: int, node: yaml.Node, low: float) -> float:
        value = _read(node) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= _MOST:
            name = f"{self._name(field)}[{place}]"
            found = repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"
            message = f"must be a number {_range(low, np.inf)}, it is {found}"
            raise PlanInputError(self._file, node.start_mark.line + 1, name, message)
        return float(value)


def read_fields(file: Path) -> Fields:
    """Open an input file.

    Raises:
        PlanInputError: it cannot be read, is not YAML or JSON, or is not a mapping.
    """
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is not a text file"
        raise PlanInputError(str(file), None, "", f"cannot be read: {reason}") from problem
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else None
        raise PlanInputError(str(file), line, "", f"is not YAML or JSON: {problem.problem}") from problem
    except yaml.YAMLError as problem:
        raise PlanInputError(str(file), None, "", "is not YAML or JSON: it holds control characters") from problem
    if not isinstance(node, yaml.MappingNode):
        raise PlanInputError(str(file), 1, "", "must have named fields at the top, such as prices_per_kwh and evs")
    return Fields(str(file), node)


def _read(node: yaml.ScalarNode) -> object:
    """The value of one scalar; a tag that YAML itself does not know makes it text."""
    try:
        value: object = yaml.safe_load(yaml.serialize(node))
    except (yaml.YAMLError, ValueError):
        return node.value
    return value


def _items(node: yaml.Node) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def _range(low: float, high: float) -> str:
    if np.isfinite(low) and np.isfinite(high):
        return f"from {low:g} to {high:g}"
    return f"of {low:g} or more" if np.isfinite(low) else "(finite)"
