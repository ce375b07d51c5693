"""Forecasts of saved runs: the intervals after the end of their data."""
