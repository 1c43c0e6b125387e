"""Run by Alembic: migrates over the connection that `runtime.store.schema` opened and locked."""

from alembic import context

from runtime.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
