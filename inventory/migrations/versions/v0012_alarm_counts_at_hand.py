"""A decision's count of alarms in the index that lists of decisions go by: SQLite reads it without the documents."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

LISTS = "ix_decisions_site_id_at_id"
WITH_COUNTS = "ix_decisions_site_id_at_id_alarm_count"


def upgrade() -> None:
    _exchange(LISTS, WITH_COUNTS, "site_id, at, id, alarm_count")


def downgrade() -> None:
    _exchange(WITH_COUNTS, LISTS, "site_id, at, id")


def _exchange(old: str, new: str, columns: str) -> None:
    if op.get_bind().dialect.name != "postgresql":
        op.execute(f"create index {new} on decisions ({columns})")
        op.execute(f"drop index {old}")
        return
    # Nobody waits while the new one is built; one that was given up half-way is of no use, and made again.
    with op.get_context().autocommit_block():
        op.execute(sa.text(f"drop index concurrently if exists {new}"))
        op.execute(sa.text(f"create index concurrently {new} on decisions ({columns})"))
        op.execute(sa.text(f"drop index concurrently if exists {old}"))
