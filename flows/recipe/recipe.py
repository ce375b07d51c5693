"""Recipes: one run's whole configuration, read from TOML and logged as TOML."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from datetime import date
from functools import cache
from typing import Any, get_type_hints

import tomlkit
from pydantic import TypeAdapter, ValidationError

from data.bound import check_runs_per_day
from data.events.config import EventsConfig
from data.sources.credentials import hidden, shown
from dp.unit.privacy_unit import IntervalUnit, parse_unit
from flows.document import Document
from flows.errors import UsageError
from flows.recipe.defaults import with_defaults
from flows.recipe.sections import ModelConfig, PrivacyConfig, SourceConfig, WindowConfig
from flows.recipe.stream import StreamConfig
from models import optimizers
from models.errors import ModelError
from models.registry import NETWORKS
from models.training import batch_scaling
from models.training.config import TrainingConfig


@dataclass(frozen=True)
class Recipe:
    """Configuration of one run. `seed` fixes initial weights and batch order, never the noise."""

    source: SourceConfig = field(default_factory=SourceConfig)
    events: EventsConfig = field(default_factory=EventsConfig)
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)
    windows: WindowConfig = field(default_factory=WindowConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)

    def __post_init__(self) -> None:
        if self.events != EventsConfig() and not self.source.events:
            raise ValueError(
                "[events] describes raw events, which this source is not said to hold; give --events "
                "(source.events=true) or leave it out"
            )
        ever, unit = self.source.regions_ever, self.privacy.unit
        if ever is not None and isinstance(parse_unit(unit), IntervalUnit):
            raise ValueError(
                f"source.regions_ever={ever} cuts records person by person over the whole panel: what "
                f"is changed in one interval then moves counts in all others, and unit={unit} counts on "
                "intervals being independent; leave regions_ever out, or choose a unit of persons "
                "(user, user-week, user-day)"
            )
        _check_runs(self)
        private = self.privacy.mechanism == "gradient"
        if not private or self.model.name in NETWORKS:
            optimizers.suit(
                self.training.optimizer,
                self.model.name,
                private=private,
                members=self.model.members,
            )
        if not private:
            return
        if self.model.name not in NETWORKS:
            raise ValueError(
                f"model.name={self.model.name!r} cannot be trained by gradient perturbation; choose "
                f"one of {', '.join(NETWORKS)}, or mechanism=input"
            )
        if self.model.ghost is not None:
            raise ValueError(
                f"model.ghost={self.model.ghost} normalises windows by each other, so that clipping "
                "one bounds nothing; under mechanism=gradient leave it out"
            )
        for name in ("around", "seasons"):
            if getattr(self.windows, name):
                raise ValueError(
                    f"windows.{name}={getattr(self.windows, name)} would put every interval into many "
                    "windows more, each of which costs budget; under mechanism=gradient it is 0"
                )
        if not self.windows.calibration.startswith("0"):
            raise ValueError(
                f"windows.calibration={self.windows.calibration} would measure errors on raw counts, "
                "which is not charged; under mechanism=gradient it is 0d"
            )

    @property
    def optimizer(self) -> str | None:
        """The optimizer that trains the model; None for a model solved in closed form."""
        private = self.privacy.mechanism == "gradient"
        used = optimizers.allowed(self.model.name, private=private, members=self.model.members)
        return self.training.optimizer if used else None

    def to_dict(self) -> Document:
        """Return plain nested values, without unset ones."""
        return {
            section: {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in values.items()
                if value is not None
            }
            for section, values in asdict(self).items()
            if section != "events" or self.source.events
        }

    def to_toml(self) -> str:
        """Return the recipe as TOML, with every value written out."""
        return tomlkit.dumps(self.to_dict())


def from_dict(values: Document) -> Recipe:
    """Return the recipe of plain nested values, without secrets of the source's URL.

    Recipes are stored: by Prefect as a parameter, by MLflow as a file, in the ledger. Secrets are moved
    to environment variables (`data.sources.credentials`).

    Raises:
        UsageError: an unknown or impossible value; the message names the field, the value and the
            range.
    """
    _known(values, Recipe, "")
    try:
        recipe = _adapter().validate_python(with_defaults(_dates_as_text(values)))
    except ValidationError as errors:
        raise UsageError("; ".join(_explain(error) for error in errors.errors())) from None
    source = replace(recipe.source, name=hidden(recipe.source.name))
    return replace(recipe, source=source, training=_scaled_to_batch(recipe))


def _dates_as_text(values: Document) -> Document:
    """Return values with TOML's dates (`start = 2024-01-01`) as text, which the fields expect."""
    return {
        section: {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in chosen.items()
        }
        for section, chosen in values.items()
    }


@cache
def _adapter() -> TypeAdapter[Recipe]:
    """Return the parser of recipes, made once: that takes longer than parsing a hundred of them."""
    return TypeAdapter(Recipe)


def _scaled_to_batch(recipe: Recipe) -> TrainingConfig:
    """Return the training with learning rate and epochs scaled from its base batch, if it has one."""
    training = recipe.training
    if training.base_batch is None:
        return training
    rule = batch_scaling.rule_for(training.optimizer, recipe.privacy.mechanism).rule
    base = replace(training, batch_size=training.base_batch, base_batch=None)
    try:
        return batch_scaling.adapted(base, training.batch_size, rule=rule)
    except ModelError as error:
        raise UsageError(f"training: {error}") from None


def _known(values: Document, kind: Any, where: str) -> None:
    """Refuse unknown sections and fields: a misspelt epsilon must not fall back to a default."""
    known = [field.name for field in fields(kind)]
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {where}{close[0]}?" if close else f"known: {', '.join(known)}"
            raise UsageError(f"unknown recipe field {where}{name}; {hint}")
        if is_dataclass(hints[name]):
            if not isinstance(value, dict):
                raise UsageError(f"recipe section [{name}] must be a table, got {_quoted(value)}")
            _known(value, hints[name], f"{where}{name}.")


def _explain(error: Any) -> str:
    """Return one of pydantic's errors as one line."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "value_error":
        return f"{where}: {error['ctx']['error']}" if where else str(error["ctx"]["error"])
    return f"{where}={_quoted(error['input'])}: {error['msg']}"


def _quoted(value: object) -> str:
    """Return a value as it was given; of a URL, only what may be shown."""
    return repr(shown(value) if isinstance(value, str) else value)


def _check_runs(recipe: Recipe) -> None:
    """Refuse runs where one interval must not move another, or where a run is not counted evenly."""
    runs, unit = recipe.source.runs_per_day, recipe.privacy.unit
    if runs is None:
        return
    if isinstance(parse_unit(unit), IntervalUnit):
        raise ValueError(
            f"source.runs_per_day={runs} cuts records person by person over a day: what is changed in "
            f"one interval then moves counts in others, and unit={unit} counts on intervals being "
            "independent; leave runs_per_day out, or choose a unit of persons (user, user-week, "
            "user-day)"
        )
    check_runs_per_day(runs, weight=recipe.privacy.weight)
    if recipe.events.weight:
        raise ValueError(
            f"source.runs_per_day={runs} counts whoever is there as 1 from end to end of a run; leave "
            f"out runs_per_day, or events.weight={recipe.events.weight!r}"
        )
