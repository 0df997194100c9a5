"""`python -m benchmarks [NAME] [--json]`: runs one benchmark, or all of them."""

import argparse
import importlib
import pkgutil
import sys

import benchmarks
from benchmarks.report import as_json, as_table

_NOT_BENCHMARKS = {"__main__", "report"}


def names() -> list[str]:
    """Every module here that has a `run() -> list[Line]`; helpers of a benchmark start with an underscore."""
    found = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return sorted(name for name in found if name not in _NOT_BENCHMARKS and not name.startswith("_"))


def main() -> int:
    """Exit 0 when every bar holds, 1 when one does not or a rival is missing, 2 for an unknown name."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__, epilog="python -m benchmarks relay --json")
    parser.add_argument("name", nargs="?", help=f"one of: {', '.join(names())}; all of them without a name")
    parser.add_argument("--json", action="store_true", help="one JSON document per benchmark on stdout")
    arguments = parser.parse_args()
    if arguments.name is not None and arguments.name not in names():
        print(f"there is no benchmark '{arguments.name}'; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    failed = False
    for name in [arguments.name] if arguments.name else names():
        try:
            lines = importlib.import_module(f"benchmarks.{name}").run()
        except ModuleNotFoundError as missing:
            print(f"{name}: the rival '{missing.name}' is not installed", file=sys.stderr)
            failed = True
            continue
        print(as_json(name, lines) if arguments.json else as_table(name, lines))
        failed = failed or not all(line.holds for line in lines)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
