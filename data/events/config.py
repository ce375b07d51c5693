"""Configuration of a source of events: its columns, its clock, its places."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

from data.spans import DAY, to_span


@dataclass(frozen=True)
class EventsConfig:
    """Raw events: one row per sighting of a person at a time in a place.

    Attributes:
        person: column of the identifier, whole numbers or text.
        time: column of the time.
        place: column of the region's or cell's id; not used where there are coordinates.
        latitude: column of degrees north, for `h3` or `polygons`.
        longitude: column of degrees east.
        weight: column of a whole number of persons that an event stands for; "" for one each.
        min_weight: events of less weight are left out.
        interval: length of one interval; divides a day.
        timezone: zone of the panel's clock for times that have a zone; intervals, days and weeks
            follow it.
        start: of the panel, by its clock; under a mechanism it is declared, else "" stands for the first
            interval with events.
        end: of the panel; under a mechanism it is declared, else "" stands for the end of the last
            interval with events.
        regions: ids that are counted, where no file and no box declares them; under `none` all that
            occur, if empty.
        h3: resolution of H3 cells, 0 to 15; None for none.
        box: south, west, north and east of the area, in degrees; all H3 cells that touch it are the
            regions.
        polygons: path of a GeoJSON file whose features are the regions; "" for none.
        polygon_id: property that names a feature.
        mapping: path of a CSV file with two columns, place and region; "" for none.
    """

    person: str = "person"
    time: str = "time"
    place: str = "place"
    latitude: str = ""
    longitude: str = ""
    weight: str = ""
    min_weight: int | None = None
    interval: str = "30min"
    timezone: str = "UTC"
    start: str = ""
    end: str = ""
    regions: tuple[str, ...] = ()
    h3: int | None = None
    box: tuple[float, ...] = ()
    polygons: str = ""
    polygon_id: str = "name"
    mapping: str = ""

    def __post_init__(self) -> None:
        length = to_span(self.interval)
        if length < pd.Timedelta("1s") or length.value % 10**9 or DAY % length:
            raise ValueError(f"interval={self.interval!r} must be whole seconds and divide a day")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"timezone={self.timezone!r} is unknown; write for instance Europe/Paris or UTC"
            ) from None
        for name in ("start", "end"):
            self.moment(name)
        if self.start and self.end and not self.moment("start") < self.moment("end"):  # type: ignore[operator]
            raise ValueError(f"start={self.start} must be before end={self.end}")
        if bool(self.latitude) != bool(self.longitude):
            raise ValueError("latitude and longitude are named together or not at all")
        if self.located != bool(self.h3 is not None or self.polygons):
            raise ValueError(
                "coordinates need h3 (a resolution) or polygons (a GeoJSON file) to become regions, "
                "and these need the columns latitude and longitude"
            )
        if self.h3 is not None and (self.polygons or not 0 <= self.h3 <= 15):
            raise ValueError(f"h3={self.h3} is a resolution from 0 to 15, without polygons")
        if self.box:
            self._check_box()
        if self.min_weight is not None and not self.weight:
            raise ValueError("min_weight needs the column weight")

    def _check_box(self) -> None:
        if self.h3 is None:
            raise ValueError("box is for h3: the cells that touch it are the regions")
        if len(self.box) != 4:
            raise ValueError(f"box={list(self.box)} must be [south, west, north, east], in degrees")
        south, west, north, east = self.box
        if not -90 <= south < north <= 90 or not -180 <= west < east <= 180 or east - west >= 180:
            raise ValueError(
                f"box={list(self.box)} must be [south, west, north, east] in degrees, south below north "
                "and west of east by less than 180 degrees (two boxes are two sources)"
            )

    @property
    def located(self) -> bool:
        """Whether places are coordinates."""
        return bool(self.latitude)

    @property
    def length(self) -> pd.Timedelta:
        """Length of one interval."""
        return to_span(self.interval)

    def moment(self, name: str) -> pd.Timestamp | None:
        """Return `start` or `end` as a time by the panel's clock; None if it is left to the events.

        Raises:
            ValueError: it is no time, has a zone, or is no start of an interval.
        """
        text = getattr(self, name)
        if not text:
            return None
        try:
            moment = pd.Timestamp(text)
        except ValueError:
            raise ValueError(
                f"{name}={text!r} is not a time; write 2024-01-31 or 2024-01-31T12:30"
            ) from None
        if moment.tz is not None or moment.value % self.length.value:
            raise ValueError(
                f"{name}={text} must be the start of an interval of {self.interval} by the panel's "
                "clock, without a zone"
            )
        return moment
