"""Statements: what a run guarantees, to whom, and under which assumptions."""

from dp.statement.counts import input_perturbation, no_privacy, stream, unproven
from dp.statement.training import gradient_perturbation

__all__ = ["gradient_perturbation", "input_perturbation", "no_privacy", "stream", "unproven"]
