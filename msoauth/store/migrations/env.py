"""Alembic's environment: runs revisions on the connection that it is given, in its transaction."""

from alembic import context

from msoauth.store import schema

context.configure(
    connection=context.config.attributes["connection"], target_metadata=schema.metadata
)
with context.begin_transaction():
    context.run_migrations()
