"""Budgets: the accounts that the `budget` commands show, change and export."""

from flows.budget.accounts import check, export, history, set_cap, show

__all__ = ["check", "export", "history", "set_cap", "show"]
