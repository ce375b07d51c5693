"""Planning: what a guarantee costs in error, before anything is drawn or charged."""

from flows.planning.expected_error import plan

__all__ = ["plan"]
