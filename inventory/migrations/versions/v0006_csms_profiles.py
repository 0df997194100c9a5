"""The CSMS's own charging profiles at each charger."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STAMP = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "csms_profiles",
        sa.Column("charger_id", sa.String(length=48), nullable=False),
        sa.Column("version", sa.String(length=16), nullable=False),
        sa.Column("told_at", STAMP, nullable=False),
        sa.Column("profiles", DOCUMENT, nullable=False),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], name=op.f("fk_csms_profiles_charger_id")),
        sa.PrimaryKeyConstraint("charger_id", name=op.f("pk_csms_profiles")),
    )


def downgrade() -> None:
    op.drop_table("csms_profiles")
