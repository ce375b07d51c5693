"""Two neighbouring files of events: regions, times, findings and refusals are the same in both."""

import json
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from data.errors import DataError
from data.events import connect
from data.events.config import EventsConfig
from data.events.read import Limits, read_events
from data.sources import Table
from data.validate import findings

SPOTS: dict[str, Any] = {"latitude": "lat", "longitude": "lon"}
PERIOD: dict[str, Any] = {"start": "2024-01-02", "end": "2024-01-02T06:00", "interval": "1h"}
PLACES = {"a": (48.81, 2.26), "b": (48.85, 2.31), "rare": (48.89, 2.44), "far": (-70.0, 170.0)}
IDS = st.sampled_from(["1", "2", "17", "007", "x17", "anna"])
SEEN = st.tuples(
    st.sampled_from(list(PLACES)), st.integers(-30, 30), st.integers(0, 59), st.integers(1, 3)
)  # place, hour, minute, weight
QUICK: dict[str, Any] = {"deadline": None, "phases": [Phase.explicit, Phase.generate]}


def frame(seen: list[tuple[str, tuple[str, int, int, int]]]) -> pd.DataFrame:
    rows = [
        (
            person,
            pd.Timestamp("2024-01-02") + pd.Timedelta(hours=hour, minutes=minute),
            place,
            *PLACES[place],
            weight,
        )
        for person, (place, hour, minute, weight) in seen
    ]
    columns = ["person", "time", "place", "lat", "lon", "weight"]
    return pd.DataFrame(rows, columns=columns).astype(
        {
            "person": "string",
            "place": "string",
            "time": "datetime64[us]",
            "lat": "float64",
            "lon": "float64",
            "weight": "int64",
        }
    )


def ways(folder: Path) -> dict[str, dict[str, Any]]:
    """Every way to declare regions."""
    mapping, cells, zones = folder / "places.csv", folder / "cells.csv", folder / "zones.geojson"
    mapping.write_text("place,region\na,one\nb,two\nrare,three\n")
    of_cells = {h3.latlng_to_cell(*PLACES[name], 7): name for name in ("a", "b", "rare")}
    cells.write_text("place,region\n" + "".join(f"{c},{n}\n" for c, n in of_cells.items()))
    rings = {"w": (2.2, 2.3), "e": (2.3, 2.4), "r": (2.4, 2.5)}
    zones.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {
                        "type": "Feature",
                        "properties": {"name": name},
                        "geometry": {
                            "type": "Polygon",
                            "coordinates": [[[w, 48], [e, 48], [e, 49], [w, 49], [w, 48]]],
                        },
                    }
                    for name, (w, e) in rings.items()
                ],
            }
        )
    )
    box = {**SPOTS, "h3": 6, "box": (48.8, 2.25, 48.9, 2.45)}
    return {
        "list": {"regions": ("a", "b", "rare")},
        "mapping": {"mapping": str(mapping)},
        "cells": {**SPOTS, "h3": 7, "mapping": str(cells)},
        "polygons": {**SPOTS, "polygons": str(zones)},
        "box": box,
    }


def counted(events: pd.DataFrame, path: Path, config: EventsConfig, limits: Limits) -> Table:
    if path.suffix == ".csv":
        events.to_csv(path, index=False)
    else:
        events.to_parquet(path)
    return read_events(str(path), config, limits, secret=b"key", persons=9)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("way", ["list", "mapping", "cells", "polygons", "box"])
@settings(max_examples=4, **QUICK)
@given(
    others=st.lists(st.tuples(IDS, SEEN), max_size=6),
    hers=st.lists(SEEN, min_size=1, max_size=8),
    her=st.sampled_from(["3", "z99"]),
    weighted=st.booleans(),
)
def test_one_person_more_changes_counts_within_the_bound_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    way: str,
    others: list[Any],
    hers: list[Any],
    her: str,
    weighted: bool,
) -> None:
    folder = tmp_path_factory.mktemp("n")
    config = EventsConfig(**PERIOD, **ways(folder)[way], weight="weight" if weighted else "")
    limits = Limits("user", 2, 2, 2 if weighted else 1)
    path = folder / f"e.{kind}"
    without = counted(frame(others), path, config, limits)
    having = counted(frame([*others, *((her, one) for one in hers)]), path, config, limits)
    for one, other in ((without, having), (having, without)):
        assert list(one.frame.columns) == list(other.frame.columns)
        assert one.frame["time"].equals(other.frame["time"])
        assert findings(one) == findings(other)
        assert (one.bound, one.timezone, one.name) == (other.bound, other.timezone, other.name)
    assert len(without.frame) == 6
    moved = having.frame.iloc[:, 1:].to_numpy() - without.frame.iloc[:, 1:].to_numpy()
    assert without.bound is not None
    assert np.linalg.norm(moved) <= without.bound.sensitivity + 1e-9
    assert moved.max(initial=0) <= limits.weight
    assert moved.min(initial=0) >= 0


def test_nobody_at_all_is_a_panel_of_zeros(tmp_path: Path) -> None:
    for kind in ("parquet", "csv"):
        for name, way in ways(tmp_path).items():
            table = counted(
                frame([]), tmp_path / f"e.{kind}", EventsConfig(**PERIOD, **way), Limits("user")
            )
            assert (table.frame.iloc[:, 1:] == 0).all(axis=None), name
            assert len(table.frame) == 6


@pytest.mark.parametrize("missing", ["regions", "start", "end", "all", "box"])
def test_what_is_not_declared_is_refused_before_anything_is_opened(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "_files", lambda *_: pytest.fail("opened"))
    monkeypatch.setattr(connect, "_database", lambda *_: pytest.fail("opened"))
    whole: dict[str, Any] = {**PERIOD, "regions": ("a", "b")}
    if missing == "all":
        whole = {}
    elif missing == "box":
        whole = {**PERIOD, **SPOTS, "h3": 6}
    else:
        del whole[missing]
    said = {
        "start": r"start of the panel is not declared.*events\.start",
        "end": r"end of the panel is not declared.*events\.end .*--until",
        "all": r"regions, start and end of the panel are not declared.*events\.regions.*mechanism=no",
    }.get(
        missing, r"events\.regions.*events\.mapping.*events\.polygons.*events\.h3 with events\.box"
    )
    for source in (str(tmp_path / "e.parquet"), "postgresql://me:918273@host/db#events"):
        with pytest.raises(DataError, match=said) as caught:
            read_events(source, EventsConfig(**whole), Limits("user"), secret=b"k")
        assert "918273" not in str(caught.value)


def test_a_made_up_city_declares_itself() -> None:
    city = "synthetic:days=2,persons=3,regions=11"
    table = read_events(city, EventsConfig(), Limits("user"), secret=b"k")
    assert list(table.frame.columns[1:]) == [f"region {number}" for number in range(1, 12)]
    assert len(table.frame) == 96
    other = EventsConfig(end="2024-01-02", regions=("region 3", "nowhere"))
    assert read_events(city, other, Limits("user"), secret=b"k").frame.shape == (48, 3)


def test_every_place_in_a_box_is_in_a_cell_of_it(tmp_path: Path) -> None:
    rng, box = np.random.default_rng(0), (60.0, 10.0, 61.0, 12.0)
    events = frame([(str(n), ("a", 0, 0, 1)) for n in range(3_000)])
    events["lat"] = rng.uniform(box[0], box[2], len(events)).round(1)
    events["lon"] = rng.uniform(box[1], box[3], len(events)).round(1)
    config = EventsConfig(**PERIOD, **SPOTS, h3=4, box=box)
    table = counted(events, tmp_path / "e.parquet", config, Limits("user"))
    assert table.frame.iloc[:, 1:].to_numpy().sum() == len(events)
    too_many = EventsConfig(**PERIOD, **SPOTS, h3=9, box=box)
    with pytest.raises(DataError, match=r"about 1\d\d,\d{3} cells of resolution 9.*events\.h3=7"):
        counted(events, tmp_path / "e.parquet", too_many, Limits("user"))


@pytest.mark.parametrize("shared", [1, 2])
def test_what_identifiers_protect(shared: int, tmp_path: Path) -> None:
    """Without one of two people who share an identifier up to 2·K·M counts change."""
    limits = Limits("user", 2, 1)
    config = EventsConfig(**PERIOD, regions=("a", "b"))
    one = [("x", ("a", hour, 5, 1)) for hour in range(6)]
    other = [("x" if shared == 1 else "y", ("b", hour, 5, 1)) for hour in range(6)]
    path, moves = tmp_path / "e.parquet", []
    for key in range(12):
        tables = []
        for events in (one + other, one):
            frame(events).to_parquet(path)
            table = read_events(str(path), config, limits, secret=bytes([key]))
            tables.append(table.frame.iloc[:, 1:].to_numpy())
        moves.append(int(np.abs(tables[0] - tables[1]).sum()))
    # a person of her own: K counts. One of two people under an identifier: up to 2·K, never more
    assert max(moves) == (4 if shared == 1 else 2)
    nobody = frame([*one, ("", ("a", 1, 0, 1))])
    unnamed = nobody.tail(1).copy()
    unnamed["person"] = pd.NA
    nobody = pd.concat([nobody, unnamed])
    for kind in ("parquet", "csv"):
        kept = counted(nobody, tmp_path / f"n.{kind}", config, limits)
        assert kept.frame.iloc[:, 1:].to_numpy().sum() == 2


def test_csv_and_parquet_order_whole_numbers_alike(tmp_path: Path) -> None:
    """Also beside identifiers that are none: what others are called moves nobody's selection."""
    seen = [(str(n), ("a", hour, 1, 1)) for n in (0, 7, 12345678901234567) for hour in range(6)]
    config, limits = EventsConfig(**PERIOD, regions=("a", "b")), Limits("user", 2)
    numbers = frame(seen).astype({"person": "int64"})
    numbers.to_parquet(tmp_path / "n.parquet")
    expected = read_events(str(tmp_path / "n.parquet"), config, limits, secret=b"key")
    found = counted(frame(seen), tmp_path / "e.csv", config, limits)
    pd.testing.assert_frame_equal(found.frame, expected.frame)
    with_her = counted(frame([*seen, ("x", ("b", 1, 0, 1))]), tmp_path / "e.csv", config, limits)
    assert (with_her.frame["a"] == expected.frame["a"]).all()


def test_an_identifier_of_any_size_refuses_nobody(tmp_path: Path) -> None:
    path, config = tmp_path / "e.parquet", EventsConfig(**PERIOD, regions=("a", "b"))
    events = frame([(str(n), ("a", hour, 0, 1)) for n in (1, 2**64 - 1) for hour in range(6)])
    events.astype({"person": "uint64"}).to_parquet(path)
    table = read_events(str(path), config, Limits("user", 2), secret=b"k")
    assert table.frame["a"].sum() == 4


@pytest.mark.parametrize("more", [[], [("x", ("a", 1, 0, 1))]])
def test_text_of_csv_stays_what_it_is(more: list[Any], tmp_path: Path) -> None:
    """`007` is not `7`, and `1.5` may be a place, whoever else is in the file."""
    events = frame([("7", ("a", 1, 0, 1)), ("007", ("a", 1, 0, 1)), *more])
    events["place"] = ["1.5", "1.5", *["elsewhere" for _ in more]]
    config = EventsConfig(**PERIOD, regions=("1.5", "2.5"))
    table = counted(events, tmp_path / "e.csv", config, Limits("user"))
    assert table.frame["1.5"].sum() == 2
