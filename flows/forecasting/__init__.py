"""Forecasts from saved runs."""
