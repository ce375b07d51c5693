"""Upgrade of ledgers from the time before data sets had several names; totals are rebuilt.

The reach of one unit is accounted for more strictly than before, so that no total becomes smaller.
"""

from __future__ import annotations

import json

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from dp.ledger import accounts, datasets
from dp.ledger.entries import all_entries
from dp.ledger.tables import AccountRow, DatasetRow, LogRow


def fill(connection: Connection) -> None:
    """Fill the tables of data sets from accounts and log, and rebuild all totals."""
    with Session(connection, join_transaction_mode="create_savepoint") as session:
        entries = all_entries(session)
        names = session.scalars(select(AccountRow.dataset).order_by(AccountRow.id))
        for name in dict.fromkeys(names):
            grid = datasets.grid_of([entry for entry in entries if entry.dataset == name])
            row = DatasetRow(name=name, family=0, grid=grid.to_json(), old=True)
            session.add(row)
            session.flush()
            row.family = row.id
            datasets.remember(session, row.id, [name], ())
        for body in session.scalars(select(LogRow.body).where(LogRow.kind == "reserved")):
            charged = json.loads(body)
            family = datasets.find(session, charged["dataset"])
            if family is not None:
                datasets.remember(session, family.id, [charged["called"]], ())
        for account in accounts.all_accounts(session):
            family = datasets.find(session, account.dataset)
            assert family is not None  # noqa: S101  (made above)
            accounts.rebuild(session, [account], family)
        session.commit()
