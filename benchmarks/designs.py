"""Error under noise with and without shared offsets, at one promise.

    VEILCAST_DATA=... python benchmarks/designs.py [--source paris-cdr] [--ever G] [--model blend]
        [--draws 5]

Mean RMSE over regions on the test week ± standard deviation over draws of the noise; neighbours: add or
remove the records of one unit. Every draw is charged, in a ledger that is deleted afterwards.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from data import sources, validate
from data.panel import Panel
from flows.arcolezi import honest
from flows.arcolezi.honest import Privacy
from flows.settings import Home, quiet_environment

PROMISES = (
    *(Privacy("user", epsilon) for epsilon in (1.0, 0.5, 0.25)),
    *(Privacy(unit, 1.0) for unit in ("user-week", "user-day")),
)


def measured(
    panel: Panel, home: Home, privacy: Privacy, design: str, model: str, draws: int
) -> dict[str, Any]:
    errors, sigma = [], 0.0
    for draw in range(draws):
        recipe = honest.recipe(privacy, model, draw, None)
        recipe = replace(
            recipe,
            privacy=replace(recipe.privacy, noise=design),
            source=replace(recipe.source, name=panel.source),
        )
        prepared, sigma = honest.windows_of(panel, recipe, home)
        errors.append(honest.on_the_test_week(prepared, recipe)["RMSE"]["mean"])
    return {
        "promise": privacy.title,
        "noise": design,
        "sigma": round(sigma, 1),
        "rmse": round(statistics.fmean(errors), 1),
        "sd": round(statistics.stdev(errors), 1) if draws > 1 else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="paris-cdr")
    parser.add_argument("--ever", type=int)
    parser.add_argument("--model", default="blend")
    parser.add_argument("--draws", type=int, default=5)
    asked = parser.parse_args()
    panel, _ = validate.to_panel(sources.read(asked.source, regions_ever=asked.ever))
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        quiet_environment(home)
        for privacy in PROMISES:
            for design in ("independent", "least"):
                row = measured(panel, home, privacy, design, asked.model, asked.draws)
                print(json.dumps(row, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
