"""Data sets and what they are recognised by; all totals are rebuilt by the current rules."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables, and fill them from the log."""
    op.create_table(
        "ledger_datasets",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(400), nullable=False, unique=True),
        sa.Column("family", sa.Integer, nullable=False, index=True),
        sa.Column("grid", sa.Text, nullable=False),
        sa.Column("old", sa.Boolean, nullable=False),
    )
    op.create_table(
        "ledger_names",
        sa.Column("dataset", sa.Integer, sa.ForeignKey("ledger_datasets.id"), primary_key=True),
        sa.Column("value", sa.String(64), primary_key=True, index=True),
    )
    from dp.ledger.upgrade import fill

    fill(op.get_bind())


def downgrade() -> None:
    """Refuse to downgrade a ledger."""
    raise RuntimeError("a ledger is not taken back; keep the database as it is")
