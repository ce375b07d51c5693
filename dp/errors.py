"""Errors of the ledger that its user can correct."""

from __future__ import annotations


class LedgerError(RuntimeError):
    """The ledger cannot do what was requested; nothing was written or drawn."""


class LedgerUnreachableError(LedgerError):
    """The ledger's database does not answer at the moment."""


class SeedGoneError(LedgerError):
    """The offsets of a stream's group are not kept any more, or cannot be read here."""


class ReleaseLostError(LedgerError):
    """A release was charged but lost before it was kept; its noise may have been drawn."""
