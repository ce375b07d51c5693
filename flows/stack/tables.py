"""Tables of store and ledger: created or migrated, and made readable for the reading role.

`python -m flows.stack.tables` prepares those of VEILCAST_DATABASE_URL for the role `reader`.
"""

from __future__ import annotations

import os

from data.store import open_store
from dp.ledger import Ledger

READER = "reader"
_READABLE = ("store_forecasts", "store_runs", "store_version")


def prepare(url: str) -> None:
    """Create or migrate the tables; the reader may read forecasts and runs, and nothing else.

    Args:
        url: of a PostgreSQL database, as the role that owns it.
    """
    import psycopg
    from psycopg import sql

    Ledger(url)
    open_store(url)
    with psycopg.connect(url, autocommit=True) as connection:
        for table in _READABLE:
            connection.execute(
                sql.SQL("GRANT SELECT ON {} TO {}").format(
                    sql.Identifier(table), sql.Identifier(READER)
                )
            )


if __name__ == "__main__":
    prepare(os.environ["VEILCAST_DATABASE_URL"])
