"""The ledger: what was spent on whom, written down before noise is drawn."""

from dp.ledger.book import Ledger
from dp.ledger.identity import fingerprint, local_secret
from dp.ledger.values import Account, Charge, Entry
from dp.ledger.verify import Verdict, verify

__all__ = [
    "Account",
    "Charge",
    "Entry",
    "Ledger",
    "Verdict",
    "fingerprint",
    "local_secret",
    "verify",
]
