"""Raw panels, in a schema (PostgreSQL) or a file (SQLite) of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, accessible by their owner only."""
    postgres = op.get_bind().dialect.name == "postgresql"
    schema = "veilcast_raw" if postgres else None
    prefix = f"{schema}." if schema else ""
    op.create_table(
        "raw_panels",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(400), nullable=False, unique=True),
        sa.Column("interval_seconds", sa.Integer, nullable=False),
        sa.Column("regions", sa.Text, nullable=False),
        schema=schema,
    )
    op.create_table(
        "raw_counts",
        sa.Column("panel", sa.Integer, sa.ForeignKey(f"{prefix}raw_panels.id"), primary_key=True),
        sa.Column("time", sa.DateTime, primary_key=True),
        sa.Column("region", sa.String(200), primary_key=True),
        sa.Column("value", sa.Float(53), nullable=False),
        schema=schema,
    )
    if postgres:
        op.execute(f"REVOKE ALL ON SCHEMA {schema} FROM PUBLIC")
        op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC")


def downgrade() -> None:
    """Drop the tables."""
    schema = "veilcast_raw" if op.get_bind().dialect.name == "postgresql" else None
    for name in ("raw_counts", "raw_panels"):
        op.drop_table(name, schema=schema)
