"""Answers of the service, as they are sent."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field


class Privacy(BaseModel):
    """Guarantee of a forecast; epsilon never stands alone."""

    mechanism: str
    unit: str | None = Field(description="whom the promise is about")
    epsilon: float | None
    delta: float | None
    neighbours: str | None = Field(description="what one neighbouring data set may change")


class Value(BaseModel):
    """The forecast of one region for one interval, in persons."""

    time: datetime = Field(description="start of the interval, by the stream's clock")
    region: str
    forecast: float
    low: float | None = Field(description="lower end of the 90 % prediction interval")
    high: float | None = Field(description="upper end of the 90 % prediction interval")


class Forecasts(BaseModel):
    """The latest forecasts of a stream."""

    stream: str
    run: str = Field(description="the training that they come from")
    made_at: datetime = Field(description="the moment from which they look ahead")
    privacy: Privacy
    values: list[Value]


class Streams(BaseModel):
    """Streams that have forecasts."""

    streams: list[str]


class Statement(BaseModel):
    """Guarantee of a run: to whom, under which assumptions."""

    run: str
    statement: dict[str, object]


class Health(BaseModel):
    """Whether the service can answer."""

    status: str
    store: bool


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str
