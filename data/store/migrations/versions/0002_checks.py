"""Keyed fingerprints of what releases were made from."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "store_checks",
        sa.Column(
            "release",
            sa.Integer,
            sa.ForeignKey("store_releases.id"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("bound", sa.Text, nullable=False),
        sa.Column("prints", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("store_checks")
