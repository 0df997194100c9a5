"""Up to where each site's stream of events is in the database."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stream_positions",
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_stream_positions_site_id_sites")),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_stream_positions")),
    )


def downgrade() -> None:
    op.drop_table("stream_positions")
