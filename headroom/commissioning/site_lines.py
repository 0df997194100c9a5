"""The lines of a site file that a visit's results would change. Nothing is written: a person looks at the difference.

Only `failsafe_proven` of single EVSEs is touched; comments and everything else stay as they are.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import yaml

from domain.errors import HeadroomError
from domain.site import Charger, Site
from inventory.site_file import parse_site

_FIELD = "failsafe_proven"


def changed(text: str, name: str, proven: Mapping[str, bool]) -> str:
    """The site file with these `failsafe_proven`.

    Guarantees that nothing else of the site it describes is different.

    Raises:
        HeadroomError: the file does not list the EVSEs, or writes them in a way that cannot be changed line by line.
    """
    before = parse_site(text, name)
    unknown = set(proven) - {evse.id for evse in before.evses}
    if unknown:
        raise HeadroomError(f"{name}: has no EVSE {', '.join(sorted(unknown))}: is it the file that the service runs?")
    edits = sorted(_edits(text, proven), reverse=True)
    found = text
    for begins, ends, instead in edits:
        found = found[:begins] + instead + found[ends:]
    if len(edits) != len(proven) or parse_site(found, name) != with_proven(before, proven):
        raise HeadroomError(f"{name}: write `{_FIELD}` of {', '.join(proven)} by hand: its lines are shared or aliased")
    return found


def with_proven(site: Site, proven: Mapping[str, bool]) -> Site:
    """The site with these fall-backs shown, or not."""

    def as_seen(charger: Charger) -> Charger:
        evses = (replace(evse, failsafe_proven=proven.get(evse.id, evse.failsafe_proven)) for evse in charger.evses)
        return replace(charger, evses=tuple(evses))

    return replace(site, chargers=tuple(as_seen(charger) for charger in site.chargers))


def difference(before: str, after: str, name: str) -> str:
    """What `patch` takes; empty where nothing changes."""
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), name, name)
    return "".join(lines)


def _edits(text: str, proven: Mapping[str, bool]) -> Iterator[tuple[int, int, str]]:
    """(from, until, instead), in characters."""
    for mapping in _evse_mappings(text):
        fields = {key.value: (key, value) for key, value in mapping.value}
        evse = fields["id"][1].value
        if evse not in proven:
            continue
        told = "true" if proven[evse] else "false"
        if _FIELD in fields:
            value = fields[_FIELD][1]
            yield value.start_mark.index, value.end_mark.index, told
        elif mapping.flow_style:
            at = mapping.end_mark.index - 1
            while text[at - 1] in " \n,":
                at -= 1
            yield at, at, f", {_FIELD}: {told}"
        else:
            key, value = fields["id"]
            at = value.end_mark.index
            end = re.compile(r"[^\n]*").match(text, at)
            assert end is not None
            yield end.end(), end.end(), f"\n{' ' * key.start_mark.column}{_FIELD}: {told}"


def _evse_mappings(text: str) -> Iterator[yaml.MappingNode]:
    root = yaml.SafeLoader(text).get_single_node()
    for charger in _items(root, "chargers"):
        yield from _items(charger, "evses")


def _items(node: yaml.Node | None, name: str) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name and isinstance(value, yaml.SequenceNode):
                yield from (one for one in value.value if isinstance(one, yaml.MappingNode))
