"""Budgets: the accounts that the `budget` commands show, change and export."""

from flows.budget.accounts import export, history, set_cap, show, verify_ledger

__all__ = ["export", "history", "set_cap", "show", "verify_ledger"]
