"""Nested regions: positions of the outer ones, and what is refused."""

from __future__ import annotations

import pytest

from data.nesting import ROOT, Nesting, parents_of

REGIONS = ("country", "north", "south", "town", "island")


@pytest.mark.parametrize(
    ("nested", "parents"),
    [
        (None, ()),
        ({}, ()),
        ({"country": ()}, ()),
        ({"country": ("north", "south"), "south": ("town",)}, (ROOT, 0, 0, 2, ROOT)),
        ({"south": ["town"], "country": ["south"]}, (ROOT, ROOT, 0, 2, ROOT)),
    ],
)
def test_positions(nested: Nesting | None, parents: tuple[int, ...]) -> None:
    assert parents_of(nested, REGIONS) == parents


@pytest.mark.parametrize(
    ("nested", "message"),
    [
        ({"country": ("west",)}, "no region 'west'; the panel has country, north"),
        ({"planet": ("country",)}, "no region 'planet'"),
        (
            {"country": ("town",), "south": ("town",)},
            "'town' lies directly within 'country' and within 'south'; name the smaller",
        ),
        ({"north": ("south",), "south": ("north",)}, "lies within itself"),
        ({"north": ("north",)}, "'north' lies within itself"),
    ],
)
def test_refusals(nested: Nesting, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parents_of(nested, REGIONS)
