"""The log, accounts, totals and releases."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "ledger_log",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("time", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("account", sa.Integer, nullable=False, index=True),
        sa.Column("entry", sa.Integer, index=True),
        sa.Column("key", sa.String(80), index=True),
        sa.Column("fingerprint", sa.String(64), index=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "ledger_accounts",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dataset", sa.String(400), nullable=False),
        sa.Column("unit", sa.String(32), nullable=False),
        sa.Column("population", sa.String(400)),
        sa.Column("cap_epsilon", sa.Float(53)),
        sa.Column("cap_delta", sa.Float(53)),
    )
    op.create_index("ledger_accounts_name", "ledger_accounts", ["dataset", "unit"], unique=True)
    op.create_table(
        "ledger_totals",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account", sa.Integer, sa.ForeignKey("ledger_accounts.id"), nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.Column("total", sa.Text, nullable=False),
    )
    op.create_index("ledger_totals_reach", "ledger_totals", ["account", "start"])
    op.create_table(
        "ledger_releases",
        sa.Column("entry", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Refuse to downgrade a ledger."""
    raise RuntimeError("a ledger is not taken back; keep the database as it is")
