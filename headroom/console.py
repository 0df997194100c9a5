"""What commands print: for people on a terminal, plain in a pipe, JSON for machines."""

import json
import sys

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
"""For people. Colours only where the terminal has them; `NO_COLOR` and pipes are respected."""

err = Console(stderr=True, highlight=False, soft_wrap=True)
"""For people who watch, beside what a pipe takes."""


def print_json(document: object) -> None:
    """One JSON document on stdout."""
    json.dump(document, sys.stdout, default=str)
    sys.stdout.write("\n")
    sys.stdout.flush()
