"""Where the messages of an outage are kept."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from domain.errors import HeadroomError
from domain.site import Site
from proxy.spool import FileSpool, Spool

_DEFAULT = Path("headroom.spool.db")


def open_spool(sites: Sequence[Site], database: str, chosen: str | None) -> Spool | None:
    """The spool file, where a site holds: `chosen`, else beside a SQLite database, else in the working directory. It is
    local also where the database is not: a message of a transaction is answered once it is on this disk.

    Raises:
        HeadroomError: the file cannot be used.
    """
    if not any(site.csms.outage == "hold" for site in sites):
        return None
    path = spool_path(database, chosen)
    try:
        return FileSpool(path)
    except OSError as error:
        raise HeadroomError(f"{error}. Set HEADROOM_SPOOL to a file on a disk that may be written.") from None


def spool_path(database: str, chosen: str | None) -> Path:
    """Where the spool lies: `chosen`, else beside a SQLite database, else in the working directory."""
    return Path(chosen) if chosen is not None else _beside(database)


def _beside(database: str) -> Path:
    try:
        url = make_url(database)
    except ArgumentError:
        return _DEFAULT
    if not url.drivername.startswith("sqlite") or not url.database or url.database == ":memory:":
        return _DEFAULT
    return Path(url.database).with_suffix(".spool.db")
