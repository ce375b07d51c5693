"""Reach of a change: the training windows that read a changed interval."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from dp.unit.privacy_unit import PrivacyUnit, Unit, intervals_of

_MANY = 10**9
"""More intervals than any unit but a whole panel has."""


@dataclass(frozen=True)
class WindowReach:
    """The intervals that a window reads, relative to its first target interval.

    Attributes:
        lags: L, latest intervals read one by one.
        seasonal: offsets back from each target interval.
        horizon: H, intervals forecast.
        stride: distance between the first targets of neighbouring windows.
    """

    lags: int
    seasonal: tuple[int, ...] = ()
    horizon: int = 1
    stride: int = 1

    @property
    def offsets(self) -> frozenset[int]:
        """Intervals read, as offsets from the first target interval; targets are read too."""
        ahead = range(self.horizon)
        back = {step - offset for step in ahead for offset in self.seasonal}
        return frozenset(range(-self.lags, 0)) | frozenset(ahead) | back

    def affected(self, width: int) -> int:
        """Return the most windows that a change of `width` consecutive intervals can reach.

        L + H − 1 + w for lags without seasonal ones and stride 1 (Schuchardt et al. 2025,
        arXiv:2502.02410, section 4); a seasonal lag puts an interval into further windows.

        Example:
            >>> reach = WindowReach(lags=4, seasonal=(48,), horizon=1)
            >>> reach.affected(1), reach.affected(48)
            (6, 96)
        """
        # A window with first target t reads x if x − t is an offset.
        first_targets = {change - offset for change in range(width) for offset in self.offsets}
        residues = [target % self.stride for target in first_targets]
        return max(residues.count(residue) for residue in set(residues))


def affected_windows(
    unit: Unit,
    reach: WindowReach,
    *,
    windows: int,
    interval: timedelta,
    intervals_per_unit: int | None = None,
    known: str = "declared",
    start: datetime | None = None,
) -> tuple[int, str]:
    """Return the most windows that one privacy unit can change, and the reason.

    Args:
        unit: the privacy unit; an interval of it may change arbitrarily.
        reach: the intervals that a window reads.
        windows: number of training windows.
        interval: length of one interval.
        intervals_per_unit: K, if the operator declares and enforces it.
        known: "declared" or "enforced", for the reason.
        start: of any interval, by the panel's clock. Without it intervals may lie across the borders
            of days and weeks, which costs one more.

    Example:
        >>> reach = WindowReach(lags=4, seasonal=(48,), horizon=1)
        >>> half_hour = timedelta(minutes=30)
        >>> affected_windows(PrivacyUnit.USER_INTERVAL, reach, windows=2688, interval=half_hour)
        (6, 'windows that read one interval')
    """
    if unit is PrivacyUnit.USER:
        count, why = windows, "every training window"
    else:
        width = intervals_of(unit, observed=_MANY, interval=interval, start=start)
        count = min(windows, reach.affected(width))
        what = "one interval" if width == 1 else f"any of {width} consecutive intervals"
        why = f"windows that read {what}"
    if intervals_per_unit is not None and isinstance(unit, PrivacyUnit):
        single = reach.affected(1)
        if intervals_per_unit * single < count:
            count = intervals_per_unit * single
            why = f"{single} windows for each of K = {intervals_per_unit} {known} intervals"
    return count, why
