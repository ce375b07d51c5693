"""Orchestrate, record, talk to people."""
