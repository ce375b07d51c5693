"""Data: sources, validation, bounded counts of events, windows and the store."""
