"""Planning: the error that a guarantee costs, before anything is drawn or charged."""

from flows.planning.expected_error import plan

__all__ = ["plan"]
