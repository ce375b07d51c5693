"""Ingest, validate, aggregate, window."""
