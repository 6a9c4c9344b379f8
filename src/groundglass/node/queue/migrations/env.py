"""Run by Alembic for every command: the migrations go through the connection that is given."""

from __future__ import annotations

from alembic import context

from groundglass.node.queue.schema import metadata

# DDL is part of the transaction on SQLite, too: the engine begins its transactions itself.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
