"""Privatise and account: units, budgets, mechanisms, the ledger, the statement."""
