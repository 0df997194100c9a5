"""Locks that a transaction holds until its end, across processes."""

from sqlalchemy import Connection, text


def lock(conn: Connection, name: str) -> None:
    """Waits for whoever else holds the lock of this name. SQLite has one writer at a time anyway: nothing is done."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"headroom {name}"})
