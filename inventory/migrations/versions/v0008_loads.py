"""Minutes of feeders, and what sessions went without."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    phases = [
        sa.Column(f"{name}_{phase}_a", sa.Float()) for name in ("base", "upper", "ev", "largest") for phase in "abc"
    ]
    op.create_table(
        "feeder_minutes",
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("feeder_id", sa.String(length=64), nullable=False),
        sa.Column("at", STAMP, nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        *phases,
        sa.Column("limit_a", sa.Float(), nullable=False),
        sa.Column("curtailed_w", sa.Float(), nullable=False),
        sa.Column("waiting", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "feeder_id", "at", name=op.f("pk_feeder_minutes")),
    )
    op.create_index(op.f("ix_feeder_minutes_at"), "feeder_minutes", ["at"], unique=False)
    op.create_table(
        "shortfalls",
        sa.Column("session_id", sa.String(length=20), nullable=False),
        sa.Column("since", STAMP, nullable=False),
        sa.Column("waited_s", sa.Float(), nullable=False),
        sa.Column("longest_wait_s", sa.Float(), nullable=False),
        sa.Column("curtailed_wh", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "since", name=op.f("pk_shortfalls")),
    )
    op.create_index(op.f("ix_shortfalls_since"), "shortfalls", ["since"], unique=False)


def downgrade() -> None:
    op.drop_table("shortfalls")
    op.drop_table("feeder_minutes")
