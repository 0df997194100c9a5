"""A site that is as the database has it is not written again: many processes that start at once wait for nobody."""

from datetime import UTC, datetime
from pathlib import Path

from databases import migrated_engine, new_database
from sqlalchemy import select

from domain.site import Site
from inventory import tables
from inventory.locks import lock
from inventory.repository import save_site
from inventory.site_file import parse_site

AT, LATER = datetime(2026, 3, 3, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC)


def site(name: str, *chargers: str) -> Site:
    rest = "connector: 1, feeder: main, phases: [A], max_a: 32, failsafe_a: 6"
    listed = "\n".join(f"  - {{id: {one}, evses: [{{id: e-{one}, {rest}}}]}}" for one in chargers)
    head = (
        f"site: {name}\ntimezone: UTC\ncsms: {{url: 'ws://127.0.0.1:9/ocpp'}}\nfeeders: [{{id: main, rating_a: 100}}]"
    )
    return parse_site(f"{head}\nchargers:\n{listed}\n", "site.yaml")


def test_nobody_waits_for_the_lock_of_all_sites_where_nothing_changed(tmp_path: Path) -> None:
    with new_database("postgresql", tmp_path) as url:
        engine = migrated_engine(url)
        with engine.begin() as conn:
            save_site(conn, site("oak", "C1"), AT)
        with engine.begin() as busy, engine.begin() as conn:
            lock(busy, "sites")
            save_site(conn, site("oak", "C1"), LATER)  # a lock time-out otherwise
            assert conn.execute(select(tables.sites.c.loaded_at)).scalar() == LATER
        engine.dispose()


def test_what_another_site_took_is_taken_back(tmp_path: Path) -> None:
    with new_database("sqlite", tmp_path) as url:
        engine = migrated_engine(url)
        with engine.begin() as conn:
            for one in (site("oak", "C1", "C2"), site("elm", "C2", "C3"), site("oak", "C1", "C2")):
                save_site(conn, one, AT)
            owner = {row.id: row.site_id for row in conn.execute(select(tables.evses))}
            assert owner == {"e-C1": "oak", "e-C2": "oak", "e-C3": "elm"}
        engine.dispose()
