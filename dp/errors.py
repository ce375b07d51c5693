"""Errors of the ledger that its user can mend."""

from __future__ import annotations


class LedgerError(RuntimeError):
    """The ledger cannot do what was asked; nothing was written and nothing was drawn."""


class LedgerUnreachableError(LedgerError):
    """The ledger's database does not answer, for now."""


class ReleaseLostError(LedgerError):
    """A release was charged and its noise may have been drawn, but it was lost before it was kept."""
