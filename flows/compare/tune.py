"""Tuning: a search over recipe fields on the weeks before the test week, free under noise."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import optuna
from prefect import flow

from data.panel import Panel
from data.sources.credentials import shown
from dp.ledger import fingerprint, local_secret
from dp.ledger.identity import release_key
from flows.compare.backtest import Folds, compare
from flows.document import Document
from flows.errors import UsageError
from flows.pipeline.privatise import Privatised
from flows.pipeline.steps import ingest_step, privatise_step, validate_step
from flows.pipeline.windows import Prepared, prepare
from flows.recipe.recipe import Recipe, from_dict
from flows.recipe.sections import WindowConfig
from flows.runtime import progress
from flows.settings import Home, open_home
from models.registry import NETWORKS

Values = dict[str, Document]

_WINDOWS: dict[str, list[Any]] = {
    "windows.lags": [12, 24, 48],
    "windows.around": [0, 4, 8, 12],
    "windows.seasons": [0, 4, 8],
}
_NETWORK: dict[str, list[Any]] = {
    "model.hidden": [16, 32, 64, 128],
    "model.dropout": [0.0, 0.15, 0.3],
    "training.learning_rate": [3e-4, 1e-3, 3e-3, 1e-2],
    "training.batch_size": [64, 128, 256, 512],
    "training.epochs": [10, 20, 40],
    "training.average": [0.9, 0.95, 0.98, 0.99],
    "training.loss": ["mse", "huber", "mae"],
}
_CONFIRM = 3
"""Seeds with which the best trial and the original recipe are compared in the end."""


@flow(name="tune", persist_result=False)
def tune(recipe: Document, trials: int, folds: Folds) -> Document:
    """Search for better settings; an interrupted search is resumed.

    Args:
        recipe: values of the recipe to start from; its model stays.
        trials: total number of settings to try, the recipe's own first.
        folds: periods that they are compared on, with one seed each.

    Returns:
        The document of `veilcast tune --json`: `before` and `best`, errors with several seeds;
        `settings`, the fields to change; `recipe`, the path of the better recipe.

    Raises:
        UsageError: under gradient perturbation, where every trial would be charged.
    """
    base, home = from_dict(recipe), open_home()
    if base.privacy.mechanism == "gradient":
        raise UsageError(
            f"under mechanism=gradient each of {trials * folds.count} trainings would be charged; "
            "tune with --source synthetic and mechanism=none, or under mechanism=input, where "
            "tuning is free"
        )
    table = ingest_step(base)
    raw, _ = validate_step(table, base.source.max_gap)
    privatised = privatise_step(raw, base, home)
    sigma, windows = privatised.guarantee.sigma_unshared or 0.0, _windows(privatised, raw)
    study = _study(base, raw, folds, home)

    def error(trial: optuna.Trial) -> float:
        variant = from_dict(_changed(base, _suggest(trial, base)))
        progress.stage_at(f"tune: trial {trial.number + 1}", trial.number)
        return float(compare(windows(variant.windows), variant, folds, sigma)["rmse"]["mean"])

    progress.stage("tune", steps=trials)
    study.optimize(error, n_trials=max(0, trials - _done(study)), catch=())
    settings = {path: value for path, value in study.best_params.items() if value is not None}
    better = from_dict(_changed(base, settings))
    several = Folds(folds.count, folds.length, _CONFIRM, folds.refit)
    before, best = (
        compare(windows(variant.windows), variant, several, sigma)["rmse"]
        for variant in (base, better)
    )
    winner = better if best["mean"] < before["mean"] else base
    path = _write(winner, home)
    guarantee = privatised.guarantee
    return {
        "source": raw.source,
        "model": base.model.name,
        "mechanism": base.privacy.mechanism,
        "unit": guarantee.unit,
        "epsilon": guarantee.epsilon,
        "delta": guarantee.delta,
        "neighbours": guarantee.neighbours,
        "trials": _done(study),
        "before": before,
        "best": best,
        "settings": settings if winner is better else {},
        "recipe": str(path),
        "evaluation": "against noised counts, which is free; RMSE less the variance of the noise"
        if sigma
        else "evaluated on raw data, not a private release",
    }


def _windows(privatised: Privatised, raw: Panel) -> Any:
    """Return a cache of windows by settings; trials that differ only in the model share them."""

    @lru_cache(maxsize=8)
    def windows(config: WindowConfig) -> Prepared:
        return prepare(privatised, raw, config)

    return windows


def _study(base: Recipe, raw: Panel, folds: Folds, home: Home) -> optuna.Study:
    """Open the search for this recipe and these folds, stored in the home folder."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # other counts make another search; the keyed name discloses nothing about them
    secret = local_secret(home.secret)
    identity = {
        "recipe": base.to_dict(),
        "folds": vars(folds),
        "data": fingerprint(secret, raw.counts),
    }
    name = release_key(secret, identity)[:16]
    study = optuna.create_study(
        storage=f"sqlite:///{home.root / 'tuning.db'}",
        study_name=name,
        sampler=optuna.samplers.TPESampler(seed=base.training.seed, n_startup_trials=8),
        load_if_exists=True,
    )
    if not study.trials:
        values = base.to_dict()
        study.enqueue_trial({path: _at(values, path) for path in _space(base)})
    return study


def _done(study: optuna.Study) -> int:
    return sum(trial.state is optuna.trial.TrialState.COMPLETE for trial in study.trials)


def _space(base: Recipe) -> dict[str, list[Any]]:
    """Return the choices of every field, which include the recipe's own value."""
    names = {base.model.name} | set(base.model.members if base.model.name == "blend" else ())
    space = {**_WINDOWS, **(_NETWORK if names & set(NETWORKS) else {})}
    values = base.to_dict()
    return {
        path: choices if _at(values, path) in choices else [_at(values, path), *choices]
        for path, choices in space.items()
    }


def _suggest(trial: optuna.Trial, base: Recipe) -> Document:
    return {
        path: trial.suggest_categorical(path, choices) for path, choices in _space(base).items()
    }


def _at(values: Values, path: str) -> Any:
    section, _, name = path.partition(".")
    return values[section].get(name)


def _changed(base: Recipe, settings: Document) -> Values:
    values = deepcopy(base.to_dict())
    for path, value in settings.items():
        section, _, name = path.partition(".")
        values[section][name] = value
    return {
        section: {name: value for name, value in fields.items() if value is not None}
        for section, fields in values.items()
    }


def _write(recipe: Recipe, home: Home) -> Path:
    """Write the recipe to a file, to train with."""
    name = "".join(
        letter if letter.isalnum() else "-" for letter in Path(shown(recipe.source.name)).stem
    )
    path = home.root / "tuned" / f"{name}-{recipe.model.name}.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(recipe.to_toml())
    return path
