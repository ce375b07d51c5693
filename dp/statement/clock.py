"""The clock by which days and weeks are counted, and what another clock would mean."""

from __future__ import annotations

from dp.unit.privacy_unit import PrivacyUnit, Unit

SOURCE_CLOCK = "the clock of the source's times"


def protected(unit: Unit, clock: str | None, *, beside: str = "") -> str:
    """Describe whose records are protected, with the hours of a day or week where the unit is one.

    Args:
        unit: privacy unit.
        clock: IANA name of the zone that days and weeks are counted in; None if it is not declared.
        beside: further text for the same parentheses.
    """
    inside = "; ".join(part for part in (_hours(unit, clock), beside) if part)
    return f"the records of {unit.protects}" + (f" ({inside})" if inside else "")


def time_zone(unit: Unit, clock: str | None, *, both: tuple[float, float] | None = None) -> str:
    """Describe the clock.

    Args:
        unit: privacy unit.
        clock: IANA name of the zone; None if it is not declared.
        both: epsilon and delta for two adjacent units together, if known.
    """
    zone = (
        f"Times are in {clock}."
        if clock
        else f"The source does not name a time zone: times are read by {SOURCE_CLOCK}; it is the same "
        "in all releases of this data set."
    )
    if unit is PrivacyUnit.USER:
        return f"{zone} The unit is the whole panel, so that it does not depend on the clock."
    if not isinstance(unit, PrivacyUnit) or unit.span is None:
        return (
            f"{zone} What lasts beyond the end of an interval touches the next one, too, and is "
            "protected as more than one unit."
        )
    name = _name(unit)
    figure = ""
    if both is not None:
        figure = (
            f", which come to epsilon {both[0]:.4g} at delta {both[1]:g} (neighbours: add or remove "
            "the records of two adjacent units)"
        )
    return (
        f"{zone} A {name} is counted from {_hours(unit, clock)}. A {name} by another clock (local time, "
        f"say), or one in which clocks change, can overlap two of these, touch more intervals, and is "
        f"then protected as two units together{figure}."
    )


def _name(unit: PrivacyUnit) -> str:
    return "week" if unit is PrivacyUnit.USER_WEEK else "day"


def _hours(unit: Unit, clock: str | None) -> str:
    if not isinstance(unit, PrivacyUnit) or unit.span is None:
        return ""
    hours = "Monday 00:00 to Sunday 24:00" if unit is PrivacyUnit.USER_WEEK else "00:00 to 24:00"
    return f"{hours}, {clock}" if clock else f"{hours} by {SOURCE_CLOCK}"
