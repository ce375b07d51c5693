"""Composition: the total cost of many releases of one data set, for any unit."""

from dp.composition.risk import trade_off
from dp.composition.total import Total, total
from dp.composition.unit_conversion import event_for_unit, times_of_unit

__all__ = ["Total", "event_for_unit", "times_of_unit", "total", "trade_off"]
