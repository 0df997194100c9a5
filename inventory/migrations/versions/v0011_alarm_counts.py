"""How many alarms a decision raised, beside its documents: a list of decisions need not read those."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decisions", sa.Column("alarm_count", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("decisions", "alarm_count")
