"""Diagnostics: what training did, read off what it publishes anyway."""
