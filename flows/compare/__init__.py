"""Comparison on weeks before the test week: backtests, and a search over recipes."""
