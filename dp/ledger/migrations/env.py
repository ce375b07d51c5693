"""Alembic's environment: the connection comes from `dp.ledger.database`."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"], version_table="ledger_version"
)
context.run_migrations()
