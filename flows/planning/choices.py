"""`veilcast plan --events`: every K with every G, and the noise that the two need together."""

from __future__ import annotations

from dp.mechanisms.count_noise import calibrate
from dp.mechanisms.design import Noise, least_noise
from dp.unit.contribution import ContributionBound
from dp.unit.contribution_set import ContributionSet
from dp.unit.privacy_unit import PrivacyUnit
from flows.document import Document
from flows.recipe.recipe import Recipe


def choices(
    rows: list[Document], regions: list[Document] | None, recipe: Recipe, *, slots: int, every: int
) -> list[Document]:
    """Return noise and loss of every pair of K and G, the best first.

    What forecasts suffer from is noise relative to the counts that are left: `noise_to_count`, against
    that of no cut at all. Pairs of which it is not known what they leave out are not compared.

    Args:
        rows: of each K, with what it leaves out.
        regions: of each G, likewise; None if nothing is known of regions.
        recipe: privacy, M and the noise design.
        slots: intervals that a unit has at all.
        every: regions of the panel; 0 if it is not known.
    """
    whole = _noise(recipe, slots, None, slots=slots, every=every).deviation
    cuts: list[tuple[int | None, float]] = [(None, 0.0)]
    for region in regions or []:
        if region["left_out"] is not None and region["regions_ever"] < every:
            cuts.append((region["regions_ever"], region["left_out"]))
    found = []
    for row in rows:
        for ever, left_out in cuts:
            noise = _noise(recipe, row["intervals_per_unit"], ever, slots=slots, every=every)
            left = (1 - row["left_out"]) * (1 - left_out)
            found.append(
                {
                    "intervals_per_unit": row["intervals_per_unit"],
                    "regions_ever": ever,
                    "left_out": 1 - left,
                    "sigma": noise.deviation,
                    "noise_to_count": noise.deviation / whole / max(left, 1e-9),
                }
            )
    return sorted(found, key=lambda one: one["noise_to_count"])


def _noise(recipe: Recipe, intervals: int, ever: int | None, *, slots: int, every: int) -> Noise:
    privacy, regions = recipe.privacy, recipe.source.regions_per_interval or 1
    bound = ContributionBound(intervals, regions, privacy.weight)
    if not every or privacy.noise == "independent":
        return calibrate(privacy.budget, bound)
    unit = ContributionSet(bound, max(every, regions), ever or 0)
    return least_noise(privacy.budget, unit, per=PrivacyUnit(privacy.unit), cells=slots)
