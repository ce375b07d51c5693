"""Regions that lie within others: declared by name, checked against the regions of a panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Nesting = Mapping[str, Sequence[str]]
"""Names of the regions directly within each outer region."""

ROOT = -1
"""Position of the outer region of one that lies in no other."""


def parents_of(nested: Nesting | None, regions: Sequence[str]) -> tuple[int, ...]:
    """Return the position of the region that each region directly lies in, or `ROOT`.

    Args:
        nested: as declared; None if nothing is known.
        regions: names, in the panel's order.

    Returns:
        One position per region; () if none lies in another.

    Raises:
        ValueError: an unknown region, or one that lies directly within two others or within itself.
    """
    parents = [ROOT] * len(regions)
    place = {name: position for position, name in enumerate(regions)}
    for outer, inner in (nested or {}).items():
        for name in (outer, *inner):
            if name not in place:
                raise ValueError(
                    f"nested: no region {name!r}; the panel has {', '.join(regions[:12])}"
                    + (", ..." if len(regions) > 12 else "")
                )
        for name in inner:
            if parents[place[name]] != ROOT:
                other = regions[parents[place[name]]]
                raise ValueError(
                    f"nested: {name!r} lies directly within {other!r} and within {outer!r}; name the "
                    "smaller of the two"
                )
            parents[place[name]] = place[outer]
    for position, name in enumerate(regions):
        steps, at = 0, position
        while parents[at] != ROOT:
            steps, at = steps + 1, parents[at]
            if steps > len(regions):
                raise ValueError(f"nested: {name!r} lies within itself")
    return tuple(parents) if any(parent != ROOT for parent in parents) else ()
