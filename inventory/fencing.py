"""Who may write for a site: the newest lease alone. What an older one still writes is refused by the database itself.

A lease can be lost without its holder noticing (a paused process, a clock that jumped), so the holder's own opinion
counts for nothing: every transaction of a controller carries the number of its lease, which only ever grows, and is
compared with the newest one that is recorded.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import BigInteger, Column, Connection, String, Table, bindparam, func, select, update
from sqlalchemy.engine import Dialect

from domain.errors import LeaseLostError
from domain.ids import SiteId
from inventory.locks import lock
from inventory.tables import ID, UtcDateTime, metadata

site_leases = Table(
    "site_leases",
    metadata,
    Column("site_id", ID, primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("holder", String(255), nullable=False),
    Column("taken_at", UtcDateTime, nullable=False),
)

_STANDING_STILL = func.set_config("idle_in_transaction_session_timeout", "2s", True)
"""A process that is paused in the middle of a transaction keeps its successor waiting no longer than this."""

_NEWEST = (
    select(site_leases.c.token, site_leases.c.holder)
    .where(site_leases.c.site_id == bindparam("site"))
    .with_for_update(read=True)
)


@lru_cache(maxsize=4)
def _spelt(dialect: Dialect) -> str:
    """`_NEWEST` in SQLite's own words: to spell it anew costs more than to ask."""
    return str(_NEWEST.compile(dialect=dialect))


@dataclass(frozen=True, slots=True)
class Fence:
    """A lease on a site. `token` grows with every lease that is given out."""

    site: SiteId
    token: int


def take_over(conn: Connection, fence: Fence, holder: str, at: datetime) -> None:
    """Records a lease: from this transaction's end on, whatever an older one writes is refused.

    It waits for the older one's transaction that is under way, so that who loads the state after it sees all that the
    older one ever wrote. The same lease may be recorded again by the same holder.

    Raises:
        LeaseLostError: a newer lease is recorded, or the same number for another holder.
    """
    lock(conn, f"lease {fence.site}")
    if conn.dialect.name == "postgresql":
        conn.execute(select(_STANDING_STILL))
    t = site_leases
    found = conn.execute(select(t.c.token, t.c.holder).where(t.c.site_id == fence.site).with_for_update()).first()
    values = {"token": fence.token, "holder": holder, "taken_at": at}
    if found is None:
        conn.execute(t.insert().values(site_id=fence.site, **values))
    elif found.token < fence.token:
        conn.execute(update(t).where(t.c.site_id == fence.site).values(**values))
    elif (found.token, found.holder) != (fence.token, holder):
        raise LeaseLostError(f"{_named(fence)} is not the newest: {found.holder} has {found.token}")


def hold(conn: Connection, fence: Fence) -> None:
    """To be called first in a transaction: until its end, no newer lease of the site is recorded.

    Raises:
        LeaseLostError: a newer lease is recorded, or this one never was.
    """
    if conn.dialect.name == "sqlite":
        found = conn.exec_driver_sql(_spelt(conn.dialect), (fence.site,)).first()
    else:
        found = conn.execute(_NEWEST.add_columns(_STANDING_STILL), {"site": fence.site}).first()
    if found is None:
        raise LeaseLostError(f"{_named(fence)} was never recorded: take it over first")
    if found.token != fence.token:
        raise LeaseLostError(f"{_named(fence)} is not the newest: {found.holder} has {found.token}")


def newest_token(conn: Connection, site: SiteId) -> int:
    """The newest recorded lease of a site, 0 where there was none: numbers that are given out must be above it, also
    after whoever counts them has lost its memory.
    """
    found = conn.execute(select(site_leases.c.token).where(site_leases.c.site_id == site)).scalar()
    return 0 if found is None else int(found)


def _named(fence: Fence) -> str:
    return f"lease {fence.token} of site '{fence.site}'"
