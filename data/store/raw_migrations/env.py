"""Alembic's environment: the connection comes from `data.store.database`."""

from alembic import context

context.configure(**context.config.attributes["configure"])
context.run_migrations()
