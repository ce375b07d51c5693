"""A search over the recipe, judged on weeks before the test week; under noise it is free."""

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
from flows.errors import UsageError
from flows.pipeline.privatise import Privatised
from flows.pipeline.steps import ingest_step, privatise_step, validate_step
from flows.pipeline.windows import Prepared, prepare
from flows.recipe.recipe import Recipe, from_dict
from flows.recipe.sections import WindowConfig
from flows.runtime import progress
from flows.settings import Home, open_home
from models.registry import NETWORKS

Values = dict[str, dict[str, Any]]

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
"""Seeds with which the best trial and the recipe as it was are compared in the end."""


@flow(name="tune", persist_result=False)
def tune(recipe: dict[str, Any], trials: int, folds: Folds) -> dict[str, Any]:
    """Search for better settings; an interrupted search goes on where it stopped.

    Args:
        recipe: values of the recipe to start from; its model is kept.
        trials: how many settings are tried in all, the recipe's own first.
        folds: what they are judged by, with one seed each.

    Returns:
        `best` and `before`, errors with several seeds; `settings`, what to change; `recipe`, a file.

    Raises:
        UsageError: under gradient perturbation, where every trial would be charged.
    """
    asked, home = from_dict(recipe), open_home()
    if asked.privacy.mechanism == "gradient":
        raise UsageError(
            f"under mechanism=gradient each of {trials * folds.count} trainings would be charged; "
            "tune with --source synthetic and mechanism=none, or under mechanism=input, where "
            "tuning is free"
        )
    table = ingest_step(asked)
    raw, _ = validate_step(table, asked.source.max_gap)
    privatised = privatise_step(raw, asked, home)
    sigma, windows = privatised.promise.sigma or 0.0, _windows(privatised, raw)
    study = _study(asked, raw, folds, home)

    def error(trial: optuna.Trial) -> float:
        tried = from_dict(_changed(asked, _suggest(trial, asked)))
        progress.stage_at(f"tune: trial {trial.number + 1}", trial.number)
        return float(compare(windows(tried.windows), tried, folds, sigma)["rmse"]["mean"])

    progress.stage("tune", steps=trials)
    study.optimize(error, n_trials=max(0, trials - _done(study)), catch=())
    settings = {path: value for path, value in study.best_params.items() if value is not None}
    better = from_dict(_changed(asked, settings))
    several = Folds(folds.count, folds.length, _CONFIRM, folds.refit)
    before, best = (
        compare(windows(one.windows), one, several, sigma)["rmse"] for one in (asked, better)
    )
    kept = better if best["mean"] < before["mean"] else asked
    path = _write(kept, home)
    promise = privatised.promise
    return {
        "source": raw.source,
        "model": asked.model.name,
        "mechanism": asked.privacy.mechanism,
        "unit": promise.unit,
        "epsilon": promise.epsilon,
        "delta": promise.delta,
        "neighbours": promise.neighbours,
        "trials": _done(study),
        "before": before,
        "best": best,
        "settings": settings if kept is better else {},
        "recipe": str(path),
        "evaluation": "against noised counts, which is free; RMSE less the variance of the noise"
        if sigma
        else "evaluated on raw data, not a private release",
    }


def _windows(privatised: Privatised, raw: Panel) -> Any:
    """Windows by their settings; trials that differ in the model alone share them."""

    @lru_cache(maxsize=8)
    def windows(config: WindowConfig) -> Prepared:
        return prepare(privatised, raw, config)

    return windows


def _study(asked: Recipe, raw: Panel, folds: Folds, home: Home) -> optuna.Study:
    """The search of this recipe on these folds, kept in the home folder."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # with other counts it is another search; the name tells nothing without the key
    secret = local_secret(home.secret)
    about = {
        "recipe": asked.to_dict(),
        "folds": vars(folds),
        "data": fingerprint(secret, raw.counts),
    }
    name = release_key(secret, about)[:16]
    study = optuna.create_study(
        storage=f"sqlite:///{home.root / 'tuning.db'}",
        study_name=name,
        sampler=optuna.samplers.TPESampler(seed=asked.training.seed, n_startup_trials=8),
        load_if_exists=True,
    )
    if not study.trials:
        values = asked.to_dict()
        study.enqueue_trial({path: _at(values, path) for path in _space(asked)})
    return study


def _done(study: optuna.Study) -> int:
    return sum(trial.state is optuna.trial.TrialState.COMPLETE for trial in study.trials)


def _space(asked: Recipe) -> dict[str, list[Any]]:
    """What is tried, the recipe's own values among it."""
    names = {asked.model.name} | set(asked.model.members if asked.model.name == "blend" else ())
    space = {**_WINDOWS, **(_NETWORK if names & set(NETWORKS) else {})}
    values = asked.to_dict()
    return {
        path: choices if _at(values, path) in choices else [_at(values, path), *choices]
        for path, choices in space.items()
    }


def _suggest(trial: optuna.Trial, asked: Recipe) -> dict[str, Any]:
    return {path: trial.suggest_categorical(path, some) for path, some in _space(asked).items()}


def _at(values: Values, path: str) -> Any:
    section, _, name = path.partition(".")
    return values[section].get(name)


def _changed(asked: Recipe, settings: dict[str, Any]) -> Values:
    values = deepcopy(asked.to_dict())
    for path, value in settings.items():
        section, _, name = path.partition(".")
        values[section][name] = value
    return {
        section: {name: value for name, value in fields.items() if value is not None}
        for section, fields in values.items()
    }


def _write(recipe: Recipe, home: Home) -> Path:
    """The recipe as a file, to train with."""
    name = "".join(one if one.isalnum() else "-" for one in Path(shown(recipe.source.name)).stem)
    path = home.root / "tuned" / f"{name}-{recipe.model.name}.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(recipe.to_toml())
    return path
