"""The whole comparison, in pieces whose results are kept, so that it can be resumed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from data import sources, validate
from data.panel import Panel
from dp.ledger import local_secret
from flows.arcolezi import accounts, honest, protocol, published
from flows.arcolezi.honest import MODELS, QUESTION, SETTINGS, Privacy
from flows.arcolezi.published import Setting
from flows.document import Document
from flows.runtime import progress
from flows.runtime.result_cache import ResultCache
from flows.settings import Home, open_home


@dataclass(frozen=True)
class Effort:
    """Amount of computation.

    Attributes:
        epochs: for the paper's networks; 100 in the paper.
        settings_of_a_table: how many of the paper's four settings of each private table are run.
        seeds: trainings of each of our forecasters.
        paper_seeds: trainings of each of the paper's networks; those with the claimed noise are charged,
            and run once.
        folds: weeks on which forecasters are compared before the test week.
        settings: promises under which forecasters are compared.
        network_epochs: for our networks; None for the recipe's.
    """

    epochs: int = published.EPOCHS
    settings_of_a_table: int = 4
    seeds: int = 5
    paper_seeds: int = 5
    folds: int = 4
    settings: tuple[Privacy, ...] = SETTINGS
    network_epochs: int | None = None


QUICK = Effort(
    epochs=1,
    settings_of_a_table=1,
    seeds=1,
    paper_seeds=1,
    folds=1,
    settings=(SETTINGS[0], SETTINGS[2]),
    network_epochs=5,
)


@flow(name="reproduce", persist_result=False)
def reproduce(effort: Effort) -> Document:
    """Compute everything that the report shows; resumes where an earlier call stopped.

    Args:
        effort: how much to compute.
    """
    started, home = time.perf_counter(), open_home()
    keep = ResultCache(home.root / "reproduce", local_secret(home.secret))
    panel, _ = validate.to_panel(sources.read("paris-cdr"), max_gap="1d")
    rows = effort.settings_of_a_table
    runs = (4 + 2 * rows) * effort.paper_seeds + rows
    ours = len(effort.settings) * len(MODELS) * (effort.seeds + 1) + 3 * effort.seeds
    total = 8 + runs + ours
    progress.stage("reproduce", steps=total)
    result = {
        "source": published.tables()["source"],
        "effort": asdict(effort),
        "persistence": protocol.persistence(panel),
        "accounts": [keep(of, setting=s) for of, s in _accounts()],
        "paper": paper_step(keep, panel, effort, home),
        "honest": honest_step(keep, panel, effort, home),
        "question": question_step(keep, panel, effort, home),
        "threads": torch.get_num_threads(),
    }
    return {**result, "seconds": round(time.perf_counter() - started, 1)}


@task(name="paper protocol", cache_policy=NO_CACHE, persist_result=False)
def paper_step(keep: ResultCache, panel: Panel, effort: Effort, home: Home) -> Document:
    """Run tables 3 and 5 here; results by the paper's names."""
    raw, results = protocol.observed(panel), {}

    def trained(name: str, setting: Setting, **data: Any) -> list[Document]:
        return [
            keep(
                protocol.train,
                label=name,
                panel=panel,
                setting=setting,
                epochs=effort.epochs,
                seed=seed,
                on_epoch=_ignored,
                **data,
            )
            for seed in range(effort.paper_seeds)
        ]

    for setting in published.nonprivate():
        results[setting.name] = trained(setting.name, setting, counts=raw)
    for setting in published.gradient()[: effort.settings_of_a_table]:
        results[setting.name] = trained(f"{setting.name} without noise", setting, counts=raw)
        results[f"{setting.name} noised"] = [
            keep(
                protocol.train_noised,
                label=f"{setting.name} noised",
                panel=panel,
                setting=setting,
                home=home,
                epochs=effort.epochs,
                on_epoch=_ignored,
            )
        ]
    for setting in published.perturbed()[: effort.settings_of_a_table]:
        counts, entry = protocol.noised(panel, setting, home)
        results[setting.name] = [
            {**run, "entry": entry} for run in trained(setting.name, setting, counts=counts)
        ]
    return results


@task(name="honest selection", cache_policy=NO_CACHE, persist_result=False)
def honest_step(keep: ResultCache, panel: Panel, effort: Effort, home: Home) -> list[Document]:
    """Score every forecaster under every promise: on folds, then once on the test week."""
    rows = []
    for privacy in effort.settings:
        for model in MODELS:
            piece = {
                "privacy": privacy,
                "model": model,
                "epochs": effort.network_epochs,
                "panel": panel,
                "home": home,
            }
            folds = keep(_folds, folds=effort.folds, **piece)
            runs = [keep(_test, seed=seed, **piece) for seed in range(effort.seeds)]
            means = [run["RMSE"]["mean"] for run in runs]
            rows.append(
                {
                    "privacy": privacy.title,
                    "model": model,
                    "folds": folds["rmse"],
                    "mean": statistics.fmean(means),
                    "sd": statistics.stdev(means) if len(means) > 1 else None,
                    "runs": runs,
                }
            )
    for privacy in effort.settings:
        same = [row for row in rows if row["privacy"] == privacy.title]
        best = min(same, key=lambda row: row["folds"])
        for row in same:
            row["chosen"] = row is best
    return rows


@task(name="input or gradient", cache_policy=NO_CACHE, persist_result=False)
def question_step(keep: ResultCache, panel: Panel, effort: Effort, home: Home) -> Document:
    """Compare noise on the counts and noise on the gradients under one promise."""
    about = {"privacy": QUESTION, "epochs": effort.network_epochs, "panel": panel, "home": home}
    seeds = range(effort.seeds)
    rows = {
        f"input, {model}": [keep(_test, model=model, seed=seed, **about) for seed in seeds]
        for model in ("bigru", "blend")
    }
    rows["gradient, bigru"] = [
        keep(honest.by_gradient, label="gradient", seed=seed, **about) for seed in seeds
    ]
    return {"privacy": QUESTION.title, "rows": rows}


def _accounts() -> list[tuple[Callable[..., Document], Setting]]:
    return [
        *((accounts.of_training, setting) for setting in published.gradient()),
        *((accounts.of_counts, setting) for setting in published.perturbed()),
    ]


def _folds(
    privacy: Privacy, model: str, epochs: int | None, folds: int, panel: Panel, home: Home
) -> Document:
    recipe = honest.recipe(privacy, model, 0, epochs)
    prepared, sigma = honest.windows_of(panel, recipe, home)
    return {"rmse": honest.on_folds(prepared, recipe, sigma, folds)}


def _test(
    privacy: Privacy, model: str, epochs: int | None, seed: int, panel: Panel, home: Home
) -> Document:
    recipe = honest.recipe(privacy, model, seed, epochs)
    prepared, _ = honest.windows_of(panel, recipe, home)
    return honest.on_the_test_week(prepared, recipe)


def _ignored(_epoch: int) -> None:
    """Ignore an epoch: those of a piece are not shown."""
