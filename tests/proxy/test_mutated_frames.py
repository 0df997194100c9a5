"""10,000 mutated frames in each direction through the real relay and desk: none altered, no fault, no leak."""

import asyncio
import gc
import random
import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutants import FOLDERS, MUTATIONS, Rig, check, corpus, mutant

from domain.events import OcppVersion
from proxy.protocol.exchange import Side
from simulators.virtual_time import run

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
EACH = 3_400
"""Of each version and direction: over 10,000 in each direction."""


async def storm(rig: Rig, rng: random.Random, frames: tuple[bytes, ...], count: int) -> int:
    """So many mutants in each direction; returns how many passed as they were."""
    passed = 0
    done = 0
    while done < count:
        sent: dict[Side, list[bytes]] = {Side.CHARGER: [], Side.CSMS: []}
        for _ in range(min(50, count - done)):
            done += 1
            for side in Side:
                ids = [f"{done}", f"{done}", f"{done - 1}"]  # of either side: replies find the CALLs that they answer
                if side is Side.CHARGER and rng.random() < 0.2:
                    ids = [rig.newest_own_id()]
                raw = bytes(bytearray(mutant(rng, frames, ids)))
                sent[side].append(raw)
                rig.say(side, raw)
            if done % 25 == 0:
                rig.limit(rng.choice([0.0, 6.0, 16.0, 32.0]))
            await asyncio.sleep(0)
        await asyncio.sleep(600)  # unanswered CALLs give up their line
        for _ in range(60):
            await asyncio.sleep(70)
        passed += check(rig, sent)
        rig.forget()
    return passed


@pytest.mark.parametrize("version", sorted(FOLDERS))
def test_mutants_pass_unaltered_and_leave_nothing_behind(version: OcppVersion):
    async def main() -> None:
        rig, rng, frames = Rig(version), random.Random(7), corpus(version)
        await storm(rig, rng, frames, 600)  # caches fill up, bounded memories reach their bounds
        gc.collect()
        tracemalloc.start()
        try:
            objects = len(gc.get_objects())
            bytes_before, _ = tracemalloc.get_traced_memory()
            passed = await storm(rig, rng, frames, EACH - 600)
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - bytes_before
            more = len(gc.get_objects()) - objects
        finally:
            tracemalloc.stop()
        assert passed > 0.9 * 2 * (EACH - 600)
        assert rig.counters.desk_errors == 0
        assert grown < 1_000_000, f"{grown} bytes stayed"
        assert more < 3_000, f"{more} objects stayed"

    run(main, start=START)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(sorted(FOLDERS)),
    st.lists(
        st.tuples(
            st.sampled_from(list(Side)), st.integers(0, 2**32), st.lists(st.integers(0, len(MUTATIONS) - 1), max_size=4)
        ),
        min_size=1,
        max_size=8,
    ),
    st.binary(max_size=40),
)
def test_any_few_mutants_pass_unaltered(version: OcppVersion, steps, junk: bytes):
    """The same, small enough for a failure to be shrunk to a few frames."""

    async def main() -> None:
        rig, frames = Rig(version), corpus(version)
        sent: dict[Side, list[bytes]] = {Side.CHARGER: [bytes(bytearray(junk + b"  "))], Side.CSMS: []}
        rig.say(Side.CHARGER, sent[Side.CHARGER][0])
        for side, seed, mutations in steps:
            rng = random.Random(seed)
            raw = rng.choice(frames)
            for number in mutations:
                raw = MUTATIONS[number](rng, raw, frames)
            raw = bytes(bytearray(raw + b"  "))
            sent[side].append(raw)
            rig.say(side, raw)
            await asyncio.sleep(0)
        for _ in range(40):
            await asyncio.sleep(70)
        check(rig, sent)
        assert rig.counters.desk_errors == 0

    run(main, start=START)
