"""Sweeps: a grid of trainings, whose whole charge is announced and reserved before the first starts."""

from flows.sweep.flow import sweep
from flows.sweep.grid import Grid

__all__ = ["Grid", "sweep"]
