"""Errors that a user can fix: wrong usage, and an installation that cannot be used."""


class UsageError(ValueError):
    """Raised if a request is contradictory, out of range or not available; exit code 2."""


class SetupError(RuntimeError):
    """Raised if the installation, its folders or its servers cannot be used; exit code 1."""
