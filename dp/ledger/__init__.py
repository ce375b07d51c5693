"""The ledger: what was spent on whom, written down before noise is drawn."""

from dp.ledger.book import Charge, Entry, Ledger
from dp.ledger.identity import fingerprint, local_secret

__all__ = ["Charge", "Entry", "Ledger", "fingerprint", "local_secret"]
