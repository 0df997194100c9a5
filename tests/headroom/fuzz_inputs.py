"""Coverage-guided fuzzing of what comes in beside frames:
`python tests/headroom/fuzz_inputs.py TARGET [corpus folder] [-max_total_time=600]`.

TARGET is one of `input_targets.TARGETS`: site, mqtt, push, modbus, csv, oidc, header, link. Needs `pip install atheris`
(Linux on x86-64), which nothing else does. Atheris writes an input that fails to a file, and the same command with that
file as its argument runs it again.
"""

import importlib
import logging
import sys
from pathlib import Path

import structlog

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

try:
    atheris = importlib.import_module("atheris")
except ImportError:
    sys.exit("atheris is not installed: pip install atheris")

with atheris.instrument_imports(include=["inventory", "headroom", "forecasting", "domain"]):
    from input_targets import TARGETS, seeds


def fuzz() -> None:
    """Write the seeds where an empty folder was named, and run until told to stop."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    target = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if target not in TARGETS:
        sys.exit(f"name what to fuzz: {', '.join(TARGETS)}")
    folder = next((Path(name) for name in sys.argv[1:] if not name.startswith("-") and Path(name).is_dir()), None)
    if folder is not None and not any(folder.iterdir()):
        for number, seed in enumerate(seeds(target)):
            (folder / f"seed-{number:04}").write_bytes(seed)
    atheris.Setup(sys.argv, TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz()
