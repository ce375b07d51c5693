"""The error of this package that its user can correct."""


class DataError(ValueError):
    """The source cannot be used; the message names the thing, the place and the fix.

    Messages never quote a cell of the data: a raw count in an error message is a raw count in a log.
    """


class BoundError(DataError):
    """A contribution bound that was asked for does not fit the panel; usage, not a fault of the data."""
