"""`python -m benchmarks [NAME] [--json] [OPTION...]`: runs one benchmark, or all of them."""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType

import benchmarks
from benchmarks.report import Line, as_json, as_table

_NOT_BENCHMARKS = {"__main__", "report"}


def names() -> list[str]:
    """Every module here that has a `run() -> list[Line]`; helpers of a benchmark start with an underscore.

    One with `options(parser)` takes options of its own, and `run(options)` gets them.
    """
    found = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return sorted(name for name in found if name not in _NOT_BENCHMARKS and not name.startswith("_"))


def main() -> int:
    """Exit 0 when every bar holds, 1 when one does not or a rival is missing, 2 for an unknown name."""
    epilog = "python -m benchmarks relay --json; python -m benchmarks capacity --help"
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__, epilog=epilog, add_help=False)
    parser.add_argument("name", nargs="?", help=f"one of: {', '.join(names())}; all of them without a name")
    parser.add_argument("--json", action="store_true", help="one JSON document per benchmark on stdout")
    arguments, own = parser.parse_known_args()
    if arguments.name is None and {"-h", "--help"} & set(own):
        parser.print_help()
        return 0
    if own and arguments.name is None:
        parser.error(f"{' '.join(own)}: name the benchmark that this is for")
    if arguments.name is not None and arguments.name not in names():
        print(f"there is no benchmark '{arguments.name}'; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    failed = False
    for name in [arguments.name] if arguments.name else names():
        try:
            lines = _lines(importlib.import_module(f"benchmarks.{name}"), name, own)
        except ModuleNotFoundError as missing:
            print(f"{name}: the rival '{missing.name}' is not installed", file=sys.stderr)
            failed = True
            continue
        print(as_json(name, lines) if arguments.json else as_table(name, lines))
        failed = failed or not all(line.holds for line in lines)
    return 1 if failed else 0


def _lines(module: ModuleType, name: str, own: Sequence[str]) -> list[Line]:
    parser = argparse.ArgumentParser(
        prog=f"benchmarks {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if not hasattr(module, "options"):
        parser.parse_args(own)
        return list(module.run())
    module.options(parser)
    return list(module.run(parser.parse_args(own)))


if __name__ == "__main__":
    sys.exit(main())
