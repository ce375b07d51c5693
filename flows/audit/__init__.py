"""Audits: lower bounds on epsilon that an attacker measures, against the claimed one."""

from flows.audit.audit import audit

__all__ = ["audit"]
