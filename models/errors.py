"""The one error of this package that a user can cause."""

from __future__ import annotations


class ModelError(ValueError):
    """A model cannot be built, trained or read; the message names the thing, the value and the fix.

    Messages never quote a count or a forecast.
    """
