"""Sealed seeds of the groups of streams that are not over."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "ledger_seeds",
        sa.Column("entry", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Refuse to downgrade a ledger."""
    raise RuntimeError("a ledger is not taken back; keep the database as it is")
