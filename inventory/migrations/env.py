"""Alembic's environment: it migrates the connection that `inventory.migrations.upgrade` was given."""

from alembic import context

from inventory import access_tables as access_tables  # its tables belong to the same metadata
from inventory import base_load_hours as base_load_hours
from inventory import fencing as fencing
from inventory import message_tables as message_tables
from inventory.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
