"""YAML with a memory for lines: plain values, and for every path the line on which it was written.

Stricter than YAML on four counts, each of which has cost an integrator an evening: a key may not stand twice in one
mapping, a value may not be empty, a number must be finite, and 0100 is not 64 nor 1:30 ninety.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.reader import ReaderError

from domain.errors import SiteFileError

Path = tuple[str | int, ...]

MAX_BYTES = 4_000_000
MAX_NODES = 300_000
MAX_DEPTH = 32
MERGE = "tag:yaml.org,2002:merge"
DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+][0-9]+)?$|[-+]?\.(inf|nan)$", re.IGNORECASE)


def field_name(path: Path) -> str:
    """A path as people write it: `feeders[1].rating_a`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text or "file"


@dataclass(slots=True)
class Document:
    """The values of one file, where they stand, and what is wrong with the way they are written."""

    name: str
    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[SiteFileError] = field(default_factory=list)

    def line(self, path: Path) -> int | None:
        """The line (from 1) of a path, or of the nearest thing that contains it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def problem(self, path: Path, message: str) -> None:
        """Notes a problem at a path."""
        self.problems.append(SiteFileError(self.name, self.line(path), field_name(path), message))


def read_yaml(text: str, name: str) -> Document:
    """The document of a YAML text; `SiteFileError` where it is no YAML, empty, too large or built of endless aliases.

    Lesser problems (a repeated key, an empty value) are collected in the document, so that all can be told at once.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise SiteFileError(name, None, "file", f"is larger than {MAX_BYTES} bytes")
    document = Document(name)
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            raise SiteFileError(name, 1, "file", "is empty: a site file starts with 'site: <name>'")
        document.value = _Reader(loader, document).read(root, (), ())
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SiteFileError(name, line, "YAML", f"cannot be read: {error.reason}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise SiteFileError(name, line, "YAML", f"cannot be read: {error.problem or error.context}") from None
    except RecursionError:
        raise SiteFileError(name, None, "YAML", f"is nested deeper than {MAX_DEPTH} levels") from None
    return document


class _Reader:
    """Walks the nodes once; aliases are followed, but neither in a circle nor without end."""

    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self._loader, self._document = loader, document
        self._seen = 0

    def read(self, node: yaml.Node, path: Path, parents: tuple[int, ...]) -> Any:
        self._seen += 1
        line = node.start_mark.line + 1
        self._document.lines.setdefault(path, line)
        if self._seen > MAX_NODES:
            raise SiteFileError(self._document.name, line, field_name(path), f"is value number {MAX_NODES}: too many")
        if id(node) in parents or len(parents) > MAX_DEPTH:
            raise SiteFileError(self._document.name, line, field_name(path), "is nested in itself or too deeply")
        parents = (*parents, id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, parents)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index), parents) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path, parents: tuple[int, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                merged |= self._merge(value_node, path, parents)
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == MERGE:
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise SiteFileError(self._document.name, line, field_name(path), "has a list or mapping as a key")
            key = str(key_node.value)
            where = (*path, key)
            if key in result:
                first = self._document.lines[where]
                self._document.problems.append(
                    SiteFileError(self._document.name, line, field_name(where), f"was already given on line {first}")
                )
                continue
            self._document.lines[where] = line
            result[key] = self.read(value_node, where, parents)
        return merged | result

    def _merge(self, node: yaml.Node, path: Path, parents: tuple[int, ...]) -> dict[str, Any]:
        """`<<: *defaults`: what it brings counts as written at its own place; keys of the mapping itself win."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                line = source.start_mark.line + 1
                raise SiteFileError(self._document.name, line, field_name((*path, "<<")), "must name a mapping")
            merged = self.read(source, path, parents) | merged
        return merged

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        try:
            value = self._loader.construct_object(node, deep=True)
        except (ValueError, yaml.constructor.ConstructorError):
            self._document.problem(path, f"found {node.value!r}, which is not a plain text, number, true or false")
            return node.value
        if value is None:
            self._document.problem(path, "has no value: write one, or remove the line")
        elif type(value) in {int, float} and not DECIMAL.match(node.value):
            self._document.problem(path, f"found {node.value}, which YAML reads as {value}: write a decimal number")
        elif isinstance(value, float) and not math.isfinite(value):
            self._document.problem(path, f"found {node.value}, must be a finite number")
        elif not isinstance(value, str | int | float | bool):
            return str(node.value)  # a date or a binary: as it was written
        return value
