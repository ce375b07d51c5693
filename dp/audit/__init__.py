"""Audit: measured lower bounds on the privacy loss of a mechanism, against what it claims."""

from dp.audit.bounds import clopper_pearson, rate_bound, tradeoff_bound, two_sided_bound
from dp.audit.guesses import Guesses, Measured, measure, plan

__all__ = [
    "Guesses",
    "Measured",
    "clopper_pearson",
    "measure",
    "plan",
    "rate_bound",
    "tradeoff_bound",
    "two_sided_bound",
]
