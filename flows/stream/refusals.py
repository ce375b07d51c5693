"""Refusals of a stream: that its releases have stopped is announced once, not every interval."""

from __future__ import annotations

from flows.settings import Home
from flows.tracking.model_registry import model_name


def newly_stopped(stream: str, refused: str | None, home: Home) -> bool:
    """Record whether releases go on; return True if they have just stopped."""
    note = home.root / "stopped" / model_name(stream)
    if refused is None:
        note.unlink(missing_ok=True)
        return False
    if note.exists():
        return False
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(refused)
    return True
