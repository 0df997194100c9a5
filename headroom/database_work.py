"""One piece of work on the service's database, for commands that need no running service."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

Database = Annotated[
    str, typer.Option(help="the service's: sqlite:///FILE or postgresql://USER@HOST/NAME", show_default="headroom.db")
]
"""The option of every command that needs the database; `HEADROOM_DATABASE` is its default."""


def with_database(url: str, work: "Callable[[Connection], T]") -> T:
    """Do the work in one transaction and let the database go. `StorageError` where it cannot be used."""
    from inventory.store import AsyncStore  # not before it is needed: refusals and help texts do not wait for it

    async def run() -> T:
        store = await AsyncStore.open(url, patience_s=None)
        try:
            return await store.transact(work)
        finally:
            await store.close()

    return asyncio.run(run())
