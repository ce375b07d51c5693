"""`[stream]` of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from data.spans import to_span


@dataclass(frozen=True)
class StreamConfig:
    """`[stream]`: counts that are released as they arrive (`veilcast deploy`).

    Attributes:
        lasts: how long the budget lasts, from the first interval on; required for unit `user`, the
            others have a new budget every week, day or interval.
        name: of the stream in the store, and of its models; by default the source's.
    """

    lasts: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if self.lasts is not None:
            to_span(self.lasts)
