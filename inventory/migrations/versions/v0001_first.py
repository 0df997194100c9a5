"""The first schema: sites, chargers, EVSEs, sessions, limits, decisions, measurements."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STAMP = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "evse_samples",
        sa.Column("evse_id", sa.String(length=64), nullable=False),
        sa.Column("received_at", STAMP, nullable=False),
        sa.Column("at", STAMP, nullable=False),
        sa.Column("current_a", sa.Float(), nullable=True),
        sa.Column("line_a", DOCUMENT, nullable=True),
        sa.Column("voltage_v", sa.Float(), nullable=True),
        sa.Column("power_w", sa.Float(), nullable=True),
        sa.Column("energy_wh", sa.Float(), nullable=True),
        sa.Column("offered_a", sa.Float(), nullable=True),
        sa.Column("soc", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("evse_id", "received_at", name=op.f("pk_evse_samples")),
    )
    op.create_index(op.f("ix_evse_samples_received_at"), "evse_samples", ["received_at"], unique=False)
    op.create_table(
        "meter_readings",
        sa.Column("meter_id", sa.String(length=64), nullable=False),
        sa.Column("at", STAMP, nullable=False),
        sa.Column("phase_a_a", sa.Float(), nullable=True),
        sa.Column("phase_b_a", sa.Float(), nullable=True),
        sa.Column("phase_c_a", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("meter_id", "at", name=op.f("pk_meter_readings")),
    )
    op.create_index(op.f("ix_meter_readings_at"), "meter_readings", ["at"], unique=False)
    op.create_table(
        "setpoint_events",
        sa.Column("evse_id", sa.String(length=64), nullable=False),
        sa.Column("at", STAMP, nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("limit_a", sa.Float(), nullable=False),
        sa.Column("decision_id", sa.String(length=64), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("evse_id", "at", "step", name=op.f("pk_setpoint_events")),
    )
    op.create_index(op.f("ix_setpoint_events_at"), "setpoint_events", ["at"], unique=False)
    op.create_table(
        "sites",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("loaded_at", STAMP, nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.Column("strategy", sa.String(length=32), nullable=True),
        sa.Column("scheduler", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sites")),
    )
    op.create_table(
        "alarms",
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("raised_at", STAMP, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("cleared_at", STAMP, nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_alarms_site_id")),
        sa.PrimaryKeyConstraint("site_id", "raised_at", "kind", "subject", name=op.f("pk_alarms")),
    )
    op.create_table(
        "chargers",
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("vendor", sa.String(length=255), nullable=True),
        sa.Column("model", sa.String(length=255), nullable=True),
        sa.Column("firmware", sa.String(length=255), nullable=True),
        sa.Column("version", sa.String(length=16), nullable=True),
        sa.Column("linked", sa.Boolean(), nullable=False),
        sa.Column("link_changed_at", STAMP, nullable=True),
        sa.Column("last_seen_at", STAMP, nullable=True),
        sa.Column("booted_at", STAMP, nullable=True),
        sa.Column("boot_accepted", sa.Boolean(), nullable=True),
        sa.Column("capability", DOCUMENT, nullable=False),
        sa.Column("retired_at", STAMP, nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_chargers_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chargers")),
    )
    op.create_index(op.f("ix_chargers_site_id"), "chargers", ["site_id"], unique=False)
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("at", STAMP, nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("strategy", sa.String(length=32), nullable=False),
        sa.Column("rung", sa.String(length=32), nullable=False),
        sa.Column("rung_why", sa.Text(), nullable=False),
        sa.Column("elapsed_ms", sa.Float(), nullable=True),
        sa.Column("wake_at", STAMP, nullable=True),
        sa.Column("setpoints", DOCUMENT, nullable=False),
        sa.Column("rotation", DOCUMENT, nullable=False),
        sa.Column("alarms", DOCUMENT, nullable=False),
        sa.Column("inputs", DOCUMENT, nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_decisions_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_at"), "decisions", ["at"], unique=False)
    op.create_index(op.f("ix_decisions_site_id_at_id"), "decisions", ["site_id", "at", "id"], unique=False)
    op.create_table(
        "rotations",
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("state", DOCUMENT, nullable=False),
        sa.Column("updated_at", STAMP, nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_rotations_site_id")),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_rotations")),
    )
    op.create_table(
        "temporary_limits",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("feeder_id", sa.String(length=64), nullable=False),
        sa.Column("limit_a", sa.Float(), nullable=False),
        sa.Column("starts_at", STAMP, nullable=False),
        sa.Column("ends_at", STAMP, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("withdrawn_at", STAMP, nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_temporary_limits_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_temporary_limits")),
    )
    op.create_index(
        op.f("ix_temporary_limits_site_id_starts_at"), "temporary_limits", ["site_id", "starts_at"], unique=False
    )
    op.create_table(
        "connectors",
        sa.Column("charger_id", sa.String(length=48), nullable=False),
        sa.Column("connector", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("state_at", STAMP, nullable=True),
        sa.Column("csms_limit_a", sa.Float(), nullable=True),
        sa.Column("csms_limit_at", STAMP, nullable=True),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], name=op.f("fk_connectors_charger_id")),
        sa.PrimaryKeyConstraint("charger_id", "connector", name=op.f("pk_connectors")),
    )
    op.create_table(
        "evses",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("charger_id", sa.String(length=48), nullable=False),
        sa.Column("connector", sa.Integer(), nullable=False),
        sa.Column("feeder_id", sa.String(length=64), nullable=False),
        sa.Column("phases", sa.String(length=3), nullable=False),
        sa.Column("max_a", sa.Float(), nullable=False),
        sa.Column("min_a", sa.Float(), nullable=False),
        sa.Column("failsafe_a", sa.Float(), nullable=False),
        sa.Column("failsafe_proven", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("priority", sa.Float(), nullable=False),
        sa.Column("response_s", sa.Float(), nullable=False),
        sa.Column("retired_at", STAMP, nullable=True),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], name=op.f("fk_evses_charger_id")),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_evses_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evses")),
    )
    op.create_index(op.f("ix_evses_site_id"), "evses", ["site_id"], unique=False)
    op.create_table(
        "ledger",
        sa.Column("evse_id", sa.String(length=64), nullable=False),
        sa.Column("limit_a", sa.Float(), nullable=False),
        sa.Column("upper_a", sa.Float(), nullable=False),
        sa.Column("sent_at", STAMP, nullable=True),
        sa.Column("acknowledged_at", STAMP, nullable=True),
        sa.Column("settled_at", STAMP, nullable=True),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("raised_at", STAMP, nullable=True),
        sa.Column("measured_a", sa.Float(), nullable=True),
        sa.Column("measured_at", STAMP, nullable=True),
        sa.ForeignKeyConstraint(["evse_id"], ["evses.id"], name=op.f("fk_ledger_evse_id")),
        sa.PrimaryKeyConstraint("evse_id", name=op.f("pk_ledger")),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("evse_id", sa.String(length=64), nullable=False),
        sa.Column("transaction_id", sa.String(length=255), nullable=False),
        sa.Column("started_at", STAMP, nullable=False),
        sa.Column("ended_at", STAMP, nullable=True),
        sa.Column("end_reason", sa.String(length=255), nullable=True),
        sa.Column("id_tag_hash", sa.String(length=64), nullable=True),
        sa.Column("energy_wh", sa.Float(), nullable=False),
        sa.Column("meter_start_wh", sa.Float(), nullable=True),
        sa.Column("departure_at", STAMP, nullable=True),
        sa.Column("energy_wanted_wh", sa.Float(), nullable=True),
        sa.Column("priority", sa.Float(), nullable=True),
        sa.Column("full_since", STAMP, nullable=True),
        sa.ForeignKeyConstraint(["evse_id"], ["evses.id"], name=op.f("fk_sessions_evse_id")),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_sessions_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_evse_id_ended_at"), "sessions", ["evse_id", "ended_at"], unique=False)
    op.create_index(
        op.f("ix_sessions_site_id_started_at_id"), "sessions", ["site_id", "started_at", "id"], unique=False
    )
    op.create_table(
        "setpoints",
        sa.Column("evse_id", sa.String(length=64), nullable=False),
        sa.Column("decision_id", sa.String(length=64), nullable=True),
        sa.Column("wanted_a", sa.Float(), nullable=True),
        sa.Column("wanted_at", STAMP, nullable=True),
        sa.Column("sent_a", sa.Float(), nullable=True),
        sa.Column("sent_at", STAMP, nullable=True),
        sa.Column("accepted_a", sa.Float(), nullable=True),
        sa.Column("accepted_at", STAMP, nullable=True),
        sa.Column("refused_a", sa.Float(), nullable=True),
        sa.Column("refused_at", STAMP, nullable=True),
        sa.Column("refused_why", sa.Text(), nullable=True),
        sa.Column("confirmed_a", sa.Float(), nullable=True),
        sa.Column("confirmed_at", STAMP, nullable=True),
        sa.ForeignKeyConstraint(["evse_id"], ["evses.id"], name=op.f("fk_setpoints_evse_id")),
        sa.PrimaryKeyConstraint("evse_id", name=op.f("pk_setpoints")),
    )


def downgrade() -> None:
    op.drop_table("setpoints")
    op.drop_table("sessions")
    op.drop_table("ledger")
    op.drop_table("evses")
    op.drop_table("connectors")
    op.drop_table("temporary_limits")
    op.drop_table("rotations")
    op.drop_table("decisions")
    op.drop_table("chargers")
    op.drop_table("alarms")
    op.drop_table("sites")
    op.drop_table("setpoint_events")
    op.drop_table("meter_readings")
    op.drop_table("evse_samples")
