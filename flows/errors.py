"""Errors that are the user's to mend, apart from those of data and models."""


class UsageError(ValueError):
    """What was asked for makes no sense or is not available; exit code 2."""


class SetupError(RuntimeError):
    """The installation or its folders are not usable; exit code 1."""
