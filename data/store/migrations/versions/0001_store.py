"""Noised panels with their releases, forecasts, runs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "store_panels",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(400), nullable=False, unique=True),
        sa.Column("interval_seconds", sa.Integer, nullable=False),
        sa.Column("regions", sa.Text, nullable=False),
    )
    op.create_table(
        "store_releases",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "panel", sa.Integer, sa.ForeignKey("store_panels.id"), nullable=False, index=True
        ),
        sa.Column("key", sa.String(80), nullable=False, unique=True),
        sa.Column("ledger_entry", sa.Integer, nullable=False),
        sa.Column("unit", sa.String(32), nullable=False),
        sa.Column("epsilon", sa.Float(53), nullable=False),
        sa.Column("delta", sa.Float(53), nullable=False),
        sa.Column("sigma", sa.Float(53), nullable=False),
        sa.Column("sensitivity", sa.Float(53), nullable=False),
        sa.Column("start", sa.DateTime, nullable=False),
        sa.Column("end", sa.DateTime, nullable=False),
    )
    op.create_table(
        "store_counts",
        sa.Column("panel", sa.Integer, sa.ForeignKey("store_panels.id"), primary_key=True),
        sa.Column("time", sa.DateTime, primary_key=True),
        sa.Column("region", sa.String(200), primary_key=True),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.Column("release", sa.Integer, sa.ForeignKey("store_releases.id"), nullable=False),
    )
    op.create_table(
        "store_forecasts",
        sa.Column("panel", sa.String(400), primary_key=True),
        sa.Column("made_at", sa.DateTime, primary_key=True),
        sa.Column("run", sa.String(64), primary_key=True),
        sa.Column("time", sa.DateTime, primary_key=True),
        sa.Column("region", sa.String(200), primary_key=True),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.Column("lower", sa.Float(53)),
        sa.Column("upper", sa.Float(53)),
        sa.Column("mechanism", sa.String(32), nullable=False),
        sa.Column("unit", sa.String(32)),
        sa.Column("epsilon", sa.Float(53)),
        sa.Column("delta", sa.Float(53)),
    )
    op.create_index("store_forecasts_time", "store_forecasts", ["panel", "time"])
    op.create_table(
        "store_runs",
        sa.Column("run", sa.String(64), primary_key=True),
        sa.Column("panel", sa.String(400), nullable=False, index=True),
        sa.Column("made_at", sa.DateTime, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in ("runs", "forecasts", "counts", "releases", "panels"):
        op.drop_table(f"store_{name}")
