"""The quirk record per charger and per model; what became of a limit that a charger accepted."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STAMP = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "charger_quirks",
        sa.Column("charger_id", sa.String(length=48), nullable=False),
        sa.Column("vendor", sa.String(length=255), nullable=True),
        sa.Column("model", sa.String(length=255), nullable=True),
        sa.Column("firmware", sa.String(length=255), nullable=True),
        sa.Column("learned", DOCUMENT, nullable=False),
        sa.Column("edits", DOCUMENT, nullable=False),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], name=op.f("fk_charger_quirks_charger_id")),
        sa.PrimaryKeyConstraint("charger_id", name=op.f("pk_charger_quirks")),
    )
    op.create_table(
        "model_quirks",
        sa.Column("vendor", sa.String(length=255), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("firmware", sa.String(length=255), nullable=False),
        sa.Column("learned", DOCUMENT, nullable=False),
        sa.Column("edits", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("vendor", "model", "firmware", name=op.f("pk_model_quirks")),
    )
    op.drop_column("chargers", "capability")
    for name in ("schedule", "ignored"):
        op.add_column("setpoints", sa.Column(f"{name}_a", sa.Float(), nullable=True))
        op.add_column("setpoints", sa.Column(f"{name}_at", STAMP, nullable=True))


def downgrade() -> None:
    for name in ("ignored", "schedule"):
        op.drop_column("setpoints", f"{name}_at")
        op.drop_column("setpoints", f"{name}_a")
    op.add_column("chargers", sa.Column("capability", DOCUMENT, nullable=False, server_default="{}"))
    op.drop_table("model_quirks")
    op.drop_table("charger_quirks")
