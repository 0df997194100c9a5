"""Coverage-guided fuzzing of relay and desk: `python tests/proxy/fuzz_relay.py [corpus folder] [-max_total_time=600]`.

Needs `pip install atheris` (Linux on x86-64), which nothing else does. A finding is a frame that is altered, or a fault
of the desk; atheris writes the input to a file, and the same command with that file as its argument runs it again.
"""

import asyncio
import importlib
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

import structlog

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

try:
    atheris = importlib.import_module("atheris")
except ImportError:
    sys.exit("atheris is not installed: pip install atheris")

with atheris.instrument_imports(include=["proxy"]):
    from mutants import FOLDERS, Rig, check, corpus

    from proxy.protocol.exchange import Side
    from simulators.virtual_time import run

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
VERSIONS = sorted(FOLDERS)
_SEPARATOR = b"\x1e"
_MOST_FRAMES = 6


def one_input(data: bytes) -> None:
    """The first byte chooses the version; frames follow, separated, whose first bit says who sends it."""
    if len(data) < 2:
        return
    version = VERSIONS[data[0] % len(VERSIONS)]
    frames = [part for part in data[1:].split(_SEPARATOR)[:_MOST_FRAMES] if len(part) > 2]

    async def main() -> None:
        rig = Rig(version)
        sent: dict[Side, list[bytes]] = {side: [] for side in Side}
        for part in frames:
            side = Side.CHARGER if part[0] & 1 else Side.CSMS
            raw = part[1:]  # one object: that is how it is known again at the other end
            sent[side].append(raw)
            rig.say(side, raw)
        for _ in range(2 * _MOST_FRAMES):  # unanswered CALLs give up their line one after the other
            await asyncio.sleep(70)
        check(rig, sent)
        assert rig.counters.desk_errors == 0, "the desk failed"

    run(main, start=START)


def seeds() -> list[bytes]:
    """The corpus of the tests, as inputs."""
    return [
        bytes([number]) + side + frame
        for number, version in enumerate(VERSIONS)
        for frame in corpus(version)
        for side in (b"1", b"2")
    ]


def fuzz() -> None:
    """Write the seeds where a folder was named, and run until told to stop."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    folder = next((Path(name) for name in sys.argv[1:] if not name.startswith("-") and Path(name).is_dir()), None)
    if folder is not None and not any(folder.iterdir()):
        for number, seed in enumerate(seeds()):
            (folder / f"seed-{number:04}").write_bytes(seed)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz()
