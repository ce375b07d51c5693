"""The points of a sweep: every combination of what is to be compared, as recipes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from data.sources.credentials import hidden
from flows.document import Document
from flows.errors import UsageError
from flows.recipe.load import load, override
from flows.recipe.recipe import Recipe, from_dict
from flows.recipe.sections import MECHANISMS, ModelConfig, PrivacyConfig
from models import optimizers
from models.training.config import TrainingConfig

Values = dict[str, Document]

ALL = "all"


@dataclass(frozen=True)
class Point:
    """One place in a comparison; it is trained with several seeds.

    Attributes:
        mechanism: `none`, `input` or `gradient`.
        unit: privacy unit; None without privacy.
        epsilon: for that unit, at the recipe's delta; None without privacy.
        model: a forecaster.
        optimizer: of its training; None for one that is solved in closed form.
    """

    mechanism: str
    unit: str | None
    epsilon: float | None
    model: str
    optimizer: str | None

    @property
    def title(self) -> str:
        """For people; the whole promise stands beside it."""
        parts = [self.mechanism, self.model, self.optimizer or "closed form"]
        guarantee = [] if self.epsilon is None else [f"{self.unit}", f"ε={self.epsilon:g}"]
        return " ".join([*parts, *guarantee])


@dataclass(frozen=True)
class Grid:
    """The values that a sweep compares.

    Attributes:
        recipe: values of the recipe that all points share. Its windows, model and training hold for
            its own mechanism; a point under another one takes what suits that (`flows.recipe.defaults`).
        mechanisms: names.
        units: privacy units, for the mechanisms that promise something.
        epsilons: budgets, for the same.
        models: forecasters.
        optimizers: names; `all` for every one that mechanism and model allow.
        seeds: trainings of each point; noise is drawn anew with each.
        trials: learning rates tried for each point before its trainings; 0 keeps the recipe's.
        settings: `section.field=value`, for every point.
    """

    recipe: Values
    mechanisms: tuple[str, ...]
    units: tuple[str, ...]
    epsilons: tuple[float, ...]
    models: tuple[str, ...]
    optimizers: tuple[str, ...]
    seeds: int = 5
    trials: int = 0
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # a grid is a parameter of a flow, which Prefect keeps
        object.__setattr__(self, "recipe", _without_secrets(self.recipe))
        object.__setattr__(self, "settings", tuple(_hidden(one) for one in self.settings))

    def points(self) -> list[Point]:
        """Every combination, each of them a possible recipe.

        Raises:
            UsageError: a list is empty or names something unknown or impossible.
        """
        for name in ("mechanisms", "models", "optimizers", "units", "epsilons"):
            if not getattr(self, name):
                raise UsageError(f"a sweep needs at least one of its {name}")
        candidates = []
        for mechanism, model in product(self.mechanisms, self.models):
            if mechanism not in MECHANISMS:
                raise UsageError(
                    f"mechanism={mechanism!r} is unknown; choose one of {', '.join(MECHANISMS)}"
                )
            promises: list[tuple[str | None, float | None]] = [(None, None)]
            if mechanism != "none":
                promises = list(product(self.units, self.epsilons))
            for guarantee, optimizer in product(promises, self._optimizers(mechanism, model)):
                candidates.append(Point(mechanism, *guarantee, model, optimizer))
        points = list(dict.fromkeys(candidates))
        recipes = [self.at(point, 0) for point in points]
        if len(self.units) > 1 and recipes[0].source.events:
            raise UsageError(
                f"units {', '.join(self.units)}: events are counted under a bound for one unit, and "
                "counts for another are other counts; sweep one unit at a time"
            )
        return points

    def at(self, point: Point, seed: int, learning_rate: float | None = None) -> Recipe:
        """The recipe of one training; seed and draw of the noise go together."""
        own = self.recipe.get("privacy", {}).get("mechanism", "input")
        shared = (own == "gradient") == (point.mechanism == "gradient")
        kept = {
            section: fields
            for section, fields in self.recipe.items()
            if shared or section in ("source", "privacy")
        }
        values = override(kept, list(self.settings))
        privacy = values.setdefault("privacy", {})
        privacy |= {"mechanism": point.mechanism, "draw": seed}
        privacy["unit"] = point.unit or self.units[0]  # without a promise, what events are cut for
        if point.epsilon is not None:
            privacy["epsilon"] = point.epsilon
        values.setdefault("model", {})["name"] = point.model
        training = values.setdefault("training", {})
        training["seed"] = seed
        training.pop("optimizer", None)
        if point.optimizer is not None:
            training["optimizer"] = point.optimizer
        if learning_rate is not None:
            training["learning_rate"] = learning_rate
        return from_dict(values)

    def _optimizers(self, mechanism: str, model: str) -> tuple[str | None, ...]:
        allowed = optimizers.allowed(model, private=mechanism == "gradient")
        if not allowed:
            return (None,)
        return allowed if ALL in self.optimizers else self.optimizers


def _without_secrets(values: Values) -> Values:
    source = values.get("source")
    if not isinstance(source, dict) or not isinstance(source.get("name"), str):
        return values
    return {**values, "source": {**source, "name": hidden(source["name"])}}


def _hidden(setting: str) -> str:
    path, equals, _ = setting.partition("=")
    if not equals or path.strip() != "source.name":
        return setting
    name = override({}, [setting])["source"]["name"]
    return f"source.name={json.dumps(hidden(name))}" if isinstance(name, str) else setting


def grid_of(
    recipe: str | None,
    settings: Sequence[str],
    *,
    source: str | None,
    delta: float | None,
    mechanisms: tuple[str, ...],
    units: tuple[str, ...],
    epsilons: tuple[float, ...],
    models: tuple[str, ...],
    optimizers: tuple[str, ...],
    seeds: int,
    trials: int,
) -> Grid:
    """The grid that a recipe and options ask for; an axis without values takes the recipe's.

    Args:
        recipe: name or path of a recipe; None for the defaults.
        settings: `section.field=value`, for every point.
        source: in place of the recipe's.
        delta: in place of the recipe's.
        mechanisms: by name.
        units: privacy units by name.
        epsilons: budgets.
        models: forecasters by name.
        optimizers: by name, or `all`.
        seeds: trainings of each point.
        trials: learning rates tried for each point.
    """
    # only what is written down: a point under another mechanism has other defaults
    values = override(load(recipe) if recipe else {}, list(settings))
    for section, field, value in (("source", "name", source), ("privacy", "delta", delta)):
        if value is not None:
            values.setdefault(section, {})[field] = value

    def written(section: str, field: str, default: Any) -> Any:
        return values.get(section, {}).get(field, getattr(default, field))

    return Grid(
        recipe=values,
        mechanisms=mechanisms or _listed(written("privacy", "mechanism", PrivacyConfig)),
        units=units or _listed(written("privacy", "unit", PrivacyConfig)),
        epsilons=epsilons or (written("privacy", "epsilon", PrivacyConfig),),
        models=models or _listed(written("model", "name", ModelConfig)),
        optimizers=optimizers or _listed(written("training", "optimizer", TrainingConfig)),
        seeds=seeds,
        trials=trials,
        settings=tuple(settings),
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
