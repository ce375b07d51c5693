"""Releases: charged first, drawn once, stored, and returned as stored."""

from dp.release.idempotent import Released, Request, release_each_once, release_once
from dp.release.panel import Release, charge_for_counts, panel_of, release_counts
from dp.release.stream_entries import streamed

__all__ = [
    "Release",
    "Released",
    "Request",
    "charge_for_counts",
    "panel_of",
    "release_counts",
    "release_each_once",
    "release_once",
    "streamed",
]
