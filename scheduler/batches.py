"""Who can charge together: members that stand in each other's way, and the queue cut into batches that fit."""

from collections.abc import Mapping, Sequence

from domain.ids import EvseId
from scheduler.contender import Contender, Fits


def components(contenders: Sequence[Contender]) -> dict[EvseId, int]:
    """Members connected through shared contended circuits get the same number."""
    leader: dict[str, str] = {}

    def find(circuit: str) -> str:
        while leader.setdefault(circuit, circuit) != circuit:
            leader[circuit] = leader[leader[circuit]]
            circuit = leader[circuit]
        return circuit

    for contender in contenders:
        names = sorted(contender.circuits)
        for name in names[1:]:
            leader[find(name)] = find(names[0])
    numbers: dict[str, int] = {}
    found: dict[EvseId, int] = {}
    for index, contender in enumerate(contenders):
        # One without contended circuits is alone: numbered apart from every set of circuits.
        root = find(min(contender.circuits)) if contender.circuits else None
        found[contender.evse] = -1 - index if root is None else numbers.setdefault(root, len(numbers))
    return found


def batches(order: Sequence[EvseId], by_id: Mapping[EvseId, Contender], fits: Fits) -> dict[EvseId, int]:
    """The batch (1, 2, ...) of every member of `order`; those without contended circuits are always in batch 1."""
    seats: list[tuple[EvseId, ...]] = []
    earliest: dict[str, int] = {}
    found: dict[EvseId, int] = {}
    for evse in order:
        circuits = by_id[evse].circuits
        if not circuits:
            found[evse] = 1
            continue
        index = max((earliest.get(circuit, 0) for circuit in circuits), default=0)
        while index < len(seats) and not fits((*seats[index], evse)):
            index += 1
        if index == len(seats):
            seats.append(())
        seats[index] = (*seats[index], evse)
        found[evse] = index + 1
        for circuit in circuits:
            earliest[circuit] = index
    return found


def group_sizes(
    members: Sequence[EvseId], by_id: Mapping[EvseId, Contender], component: Mapping[EvseId, int], fits: Fits
) -> dict[int, int]:
    """|G| per component: its number of batches in an order that rotation does not change, so that slices keep still."""
    sizes: dict[int, int] = {}
    for evse, batch in batches(members, by_id, fits).items():
        sizes[component[evse]] = max(batch, sizes.get(component[evse], 1))
    return sizes
