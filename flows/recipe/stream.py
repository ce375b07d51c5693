"""`[stream]` of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from data.spans import to_span


@dataclass(frozen=True)
class StreamConfig:
    """`[stream]`: counts that keep coming, released as they come (`veilcast deploy`).

    Attributes:
        lasts: how long the budget is to last, from the first interval on; unit `user` needs it, the
            others get a new budget with every week, day or interval.
        name: of the stream in the store, and of its models; by default the source's.
    """

    lasts: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if self.lasts is not None:
            to_span(self.lasts)
