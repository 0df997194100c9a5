"""Whom the steps ask: a person at a terminal, or a file of answers."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import typer
import yaml
from rich.console import Console

from domain.errors import HeadroomError


class Asker(Protocol):
    """A person on site, or what stands for one. `key` names the question: "E1/link/pull"."""

    async def done(self, key: str, text: str) -> bool:
        """Asks to do something; True once it is done, False where it cannot be done."""

    def tell(self, text: str) -> None:
        """Says what is going on."""


class Person:
    """Somebody at a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    async def done(self, key: str, text: str) -> bool:
        """Asks and waits."""
        self._console.print(f"\n[bold]{key}[/bold]")
        return await asyncio.to_thread(typer.confirm, f"{text}\nDone? (n: it cannot be done)", default=True)

    def tell(self, text: str) -> None:
        """Prints a line."""
        self._console.print(text, markup=False)


class Answers:
    """A file of answers, for a test bench that does by itself what it is asked for."""

    def __init__(self, answers: Mapping[str, bool], console: Console | None = None) -> None:
        self._answers, self._console = answers, console

    @classmethod
    def read(cls, file: Path, console: Console | None = None) -> "Answers":
        """The answers of a YAML or JSON file: `KEY: yes` or `no`; `"*"` answers what is not named."""
        try:
            found = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            raise HeadroomError(f"--answers {file}: cannot be read: {error}") from None
        if not isinstance(found, dict) or not all(isinstance(one, bool) for one in found.values()):
            raise HeadroomError(
                f"--answers {file}: must be a mapping of questions to yes or no, such as E1/link/pull: yes"
            )
        return cls({str(key): value for key, value in found.items()}, console)

    async def done(self, key: str, text: str) -> bool:
        """What the file says."""
        self.tell(f"{key}: {text}")
        found = self._answers.get(key, self._answers.get("*"))
        if found is None:
            raise HeadroomError(f"--answers: does not answer '{key}' ({text})")
        return found

    def tell(self, text: str) -> None:
        """Prints a line where there is somewhere to print."""
        if self._console is not None:
            self._console.print(text, markup=False)
