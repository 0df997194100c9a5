"""The non-EV load of every hour, per phase of a metered feeder."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "base_load_hours",
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("feeder_id", sa.String(length=64), nullable=False),
        sa.Column("phase", sa.String(length=1), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mean_a", sa.Float(), nullable=False),
        sa.Column("largest_a", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "feeder_id", "phase", "at", name=op.f("pk_base_load_hours")),
    )
    op.create_index(op.f("ix_base_load_hours_at"), "base_load_hours", ["at"], unique=False)


def downgrade() -> None:
    op.drop_table("base_load_hours")
