"""The error of this package that users can cause."""

from __future__ import annotations


class ModelError(ValueError):
    """A model cannot be built, trained or read; the message names the field, the value and the fix.

    Messages never quote a count or a forecast.
    """
