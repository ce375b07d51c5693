"""Events that cannot be used: one clear error, nothing loaded, no value of the data in it."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data.errors import DataError
from data.events.config import EventsConfig
from data.events.read import Limits, read_events

GOOD = pd.DataFrame(
    {
        "person": [918273, 918274, 918275],
        "place": ["a", "b", "a"],
        "time": pd.to_datetime(["2024-01-01 00:10", "2024-01-01 01:10", "2024-01-01 02:10"]),
    }
)
POINTS = GOOD.assign(lat=48.8, lon=2.3)
SPOTS = {"latitude": "lat", "longitude": "lon", "h3": 5}


def refused(path: Path, said: str, **config: Any) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read_events(str(path), EventsConfig(**config), Limits("user-day"), secret=b"k", look=True)
    assert "91827" not in str(caught.value)
    assert "2024-01-01 0" not in str(caught.value)


CASES: dict[str, tuple[pd.DataFrame, str, dict[str, Any]]] = {
    "missing column": (GOOD.drop(columns="person"), "no column 'person'", {}),
    "close column": (GOOD.rename(columns={"person": "persona"}), "mean 'persona'", {}),
    "fractions": (GOOD.assign(person=0.5), r"'person' \(person\) is of type float", {}),
    "number as time": (GOOD.assign(time=[1, 2, 3]), "bare number names no moment", {}),
    "no time": (GOOD.assign(time=["2024-01-01", "soon", "2024-01-02"]), "text that is no time", {}),
    "place": (GOOD.assign(place=[1.5, 2.5, 1.5]), "'place'.*expected text or whole", {}),
    "one person": (GOOD.assign(person=918273), "same for all events", {}),
    "one place": (GOOD.assign(place="a"), "1 regions? found, expected at least two", {}),
    "empty": (GOOD.iloc[:0], "has no events", {}),
    "period": (GOOD, "no events from 2025-01-01 to the end", {"start": "2025-01-01"}),
    "short": (GOOD, "fewer than two intervals", {"interval": "1d"}),
    "regions": (GOOD, "no event is in any of the 2 regions", {"regions": ("x", "y")}),
    "zone": (GOOD, "has no zone", {"timezone": "Europe/Paris"}),
    "world": (POINTS.assign(lat=[1.0, 2.0, 91.0]), "outside the world", SPOTS),
    "text": (POINTS.assign(lat="x"), "expected degrees", SPOTS),
    "weight": (GOOD.assign(w=0.5), "expected whole numbers", {"weight": "w"}),
    "negative": (GOOD.assign(w=-1), "weights below 0", {"weight": "w"}),
    "mixed": (
        GOOD.assign(time=["2024-01-01 00:10:00", "2024-01-01T01:10:00+01:00", "2024-01-01T02:10Z"]),
        "zone next to times without",
        {},
    ),
}


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("case", CASES)
def test_refused(case: str, kind: str, tmp_path: Path) -> None:
    frame, said, config = CASES[case]
    path = tmp_path / f"e.{kind}"
    if kind == "csv":
        if case in ("number as time", "empty", "fractions", "place"):
            pytest.skip("text says less about types")
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    refused(path, said, **config)


def test_files_that_are_none(tmp_path: Path) -> None:
    broken = tmp_path / "e.parquet"
    broken.write_bytes(b"PAR1" + b"918273" * 50)
    refused(broken, "write it again|cannot be read")
    refused(tmp_path / "other.parquet", "did you mean")
    (tmp_path / "e.docx").write_text("x")
    refused(tmp_path / "e.docx", "expected a name ending in")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "found neither")
    csv = tmp_path / "e.csv"
    csv.write_text(
        "person,time,place\n" + "1,2024-01-01 00:00:00,a\n" * 30000 + "918273x,2024-01-01 0x,b\n"
    )
    refused(csv, "text that is no time")


RECORDS = (
    "918273,2024-01-01 00:10:00,a",
    "2024-01-01T00:10,anna@91827.org,a",
    "anna,1 Jan 2024 00:10,48",
    "fe30918273ab,00:10 01/01/2024,north",
)


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_in_the_place_of_the_header_is_not_shown(record: str, tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text(f"{record}\n{record}\n")
    with pytest.raises(DataError, match="is the header line missing") as caught:
        read_events(str(path), EventsConfig(), Limits("user-day"), secret=b"k", look=True)
    said = str(caught.value).replace(str(path), "")
    assert not [part for part in record.split(",") if part != "a" and part in said]


def test_databases_that_are_none(tmp_path: Path) -> None:
    for source, said in (
        ("postgresql://me:918273@127.0.0.1:1/db#events", "cannot be reached|cannot be read"),
        ("postgresql://me:918273@127.0.0.1:1/db", "expected dialect://"),
        (f"sqlite:///{tmp_path / 'none.db'}#events", "no such database file"),
        ("nothing://host/db#events", "cannot be read|driver"),
    ):
        with pytest.raises(DataError, match=said) as caught:
            read_events(source, EventsConfig(), Limits("user"), secret=b"k", look=True)
        assert "918273" not in str(caught.value)


def test_places_that_are_none(tmp_path: Path) -> None:
    path, zones = tmp_path / "e.parquet", tmp_path / "zones.geojson"
    POINTS.to_parquet(path)
    spots: dict[str, Any] = {"latitude": "lat", "longitude": "lon", "polygons": str(zones)}
    refused(path, "no file", **spots)
    point = {"type": "Point", "coordinates": [0, 0]}
    ring = [[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]
    for content, said in (
        ("no json", "not GeoJSON"),
        (
            json.dumps({"features": [{"geometry": point, "properties": {"name": "x"}}]}),
            "is a Point",
        ),
        (json.dumps({"features": [{"geometry": point, "properties": {}}]}), "polygon_id names"),
        (
            json.dumps(
                {
                    "features": [
                        {
                            "geometry": {"type": "Polygon", "coordinates": [ring]},
                            "properties": {"name": "x"},
                        }
                    ]
                }
            ),
            "not valid",
        ),
        (json.dumps({"features": []}), "empty"),
    ):
        zones.write_text(content)
        refused(path, said, **spots)
    mapping = tmp_path / "m.csv"
    mapping.write_text("place,region\na,x\na,y\n")
    refused(path, "mapped twice", mapping=str(mapping))
    mapping.write_text("a,b\n1,2\n")
    refused(path, "columns place and region", mapping=str(mapping))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"interval": "7min"}, "divide a day"),
        ({"timezone": "Mars/Olympus"}, "timezone='Mars/Olympus' is unknown"),
        ({"start": "2024-01-01 00:10"}, "start of an interval"),
        ({"start": "soon"}, "is not a time"),
        ({"start": "2024-01-02", "end": "2024-01-01"}, "must be before"),
        ({"latitude": "lat"}, "named together"),
        ({"latitude": "lat", "longitude": "lon"}, "coordinates need h3"),
        ({"h3": 5}, "coordinates need h3"),
        ({"latitude": "lat", "longitude": "lon", "h3": 16}, "from 0 to 15"),
        ({"min_weight": 2}, "needs the column weight"),
        ({"box": (48, 2, 49, 3)}, "box is for h3"),
        ({**SPOTS, "box": (48, 2, 49)}, r"must be \[south, west, north, east\]"),
        ({**SPOTS, "box": (49, 2, 48, 3)}, "south below north"),
        ({**SPOTS, "box": (-10, -120, 10, 120)}, "by less than 180"),
    ],
)
def test_settings_out_of_range(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EventsConfig(**config)
