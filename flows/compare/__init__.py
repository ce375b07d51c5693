"""Comparisons on the weeks before the test week: backtests, and a search over recipes."""
