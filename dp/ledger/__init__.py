"""The ledger: what was spent on whom, recorded before noise is drawn."""

from dp.charge import Charge
from dp.ledger.identity import fingerprint, local_secret
from dp.ledger.ledger import Ledger
from dp.ledger.values import Account, Entry
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
