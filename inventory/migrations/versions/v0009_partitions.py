"""PostgreSQL: the measured values in partitions by month. What was there stays where it lies, as the oldest partition."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = {
    "meter_readings": ("at", "meter_id, at", {"ix_meter_readings_at": "at"}),
    "evse_samples": ("received_at", "evse_id, received_at", {"ix_evse_samples_received_at": "received_at"}),
    "setpoint_events": ("at", "evse_id, at, step", {"ix_setpoint_events_at": "at"}),
}


def upgrade() -> None:
    op.create_table(
        "schema_floor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schema_floor")),
        if_not_exists=True,  # a step of several transactions may have to begin again
    )
    if op.get_bind().dialect.name == "postgresql":
        for table, (column, key, indexes) in TABLES.items():
            _partition(table, column, key, indexes)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, (_, key, indexes) in TABLES.items():
            _gather(table, key, indexes)
    op.drop_table("schema_floor")


def _partition(table: str, column: str, key: str, indexes: dict[str, str]) -> None:
    """The long part, reading all rows to know that they are older than a month to come, locks nobody out; the tables
    are exchanged in an instant then.
    """
    bind = op.get_bind()
    if bind.execute(sa.text("select relkind from pg_class where oid = to_regclass(:name)"), {"name": table}).scalar() == "p":
        return
    newest = bind.execute(sa.text(f"select max({column}) from {table}")).scalar()
    if newest is None:
        op.execute(f"lock table {table} in access exclusive mode")
        newest = bind.execute(sa.text(f"select max({column}) from {table}")).scalar()
    before, until = None, ""
    if newest is not None:
        until = _after(max(newest, datetime.now(UTC))).isoformat()
        before = f"{table}_before_{until[:4]}_{until[5:7]}"
        op.execute(f"alter table {table} drop constraint if exists partition_bound")
        op.execute(f"alter table {table} add constraint partition_bound check ({column} < '{until}') not valid")
        with op.get_context().autocommit_block():
            op.execute(f"alter table {table} validate constraint partition_bound")
        op.execute(f"lock table {table} in access exclusive mode")
    old = before or f"{table}_empty"
    op.execute(f"alter table {table} rename to {old}")
    op.execute(f"alter table {old} rename constraint pk_{table} to pk_{old}")
    for index in indexes:
        op.execute(f"alter index {index} rename to {index}{old.removeprefix(table)}")
    op.execute(f"create table {table} (like {old} including defaults) partition by range ({column})")
    op.execute(f"alter table {table} add constraint pk_{table} primary key ({key})")
    for index, columns in indexes.items():
        op.execute(f"create index {index} on {table} ({columns})")
    op.execute(f"create table {table}_other partition of {table} default")
    if before is None:
        op.execute(f"drop table {old}")
    else:
        op.execute(f"alter table {table} attach partition {old} for values from (minvalue) to ('{until}')")
        op.execute(f"alter table {old} drop constraint partition_bound")


def _gather(table: str, key: str, indexes: dict[str, str]) -> None:
    op.execute(f"create table {table}_whole (like {table} including defaults)")
    op.execute(f"insert into {table}_whole select * from {table}")
    op.execute(f"drop table {table}")
    op.execute(f"alter table {table}_whole rename to {table}")
    op.execute(f"alter table {table} add constraint pk_{table} primary key ({key})")
    for index, columns in indexes.items():
        op.execute(f"create index {index} on {table} ({columns})")


def _after(newest: datetime) -> datetime:
    """The first day of the month after the next: nothing written meanwhile can be later."""
    month = newest.year * 12 + newest.month + 1
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
