"""Audits: what a determined attacker measures, against what is claimed."""

from flows.audit.audit import audit

__all__ = ["audit"]
