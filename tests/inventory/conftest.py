"""Every database that the inventory runs on: tests that take `database` run once on each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import KINDS, database_of, migrated_engine, new_database
from sqlalchemy import Engine


@pytest.fixture(scope="session")
def server_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One database of this worker on PostgreSQL, with the newest schema."""
    with new_database("postgresql", tmp_path_factory.getbasetemp()) as url:
        migrated_engine(url).dispose()
        yield url


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without rows."""
    return database_of(request, request.param, tmp_path)


@pytest.fixture(scope="module", params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine whose database has the newest schema; what tests do in it, they roll back."""
    made = migrated_engine(database_of(request, request.param, tmp_path_factory.mktemp("engine")))
    yield made
    made.dispose()
