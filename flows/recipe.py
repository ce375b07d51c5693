"""Recipes: one run's whole configuration, a TOML file in and the same TOML logged."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any, get_type_hints

import tomlkit
from pydantic import TypeAdapter, ValidationError

from data.events.config import EventsConfig
from data.panel import Panel
from data.spans import to_span
from data.windows import WindowSpec
from dp.budget import Budget
from dp.unit import IntervalUnit, PrivacyUnit, parse_unit
from flows.errors import UsageError
from flows.loop.config import StreamConfig
from flows.regime import with_regime
from models import nets, optimizers, regime
from models.config import MEMBERS, ForecasterConfig
from models.errors import ModelError
from models.settings import TrainingConfig

SOURCE_PASSWORD = "VEILCAST_SOURCE_PASSWORD"  # noqa: S105  (a name)
MECHANISMS = ("none", "input", "gradient")


@dataclass(frozen=True)
class SourceConfig:
    """`[source]`: where the counts come from and what is declared about them.

    Attributes:
        name: `synthetic`, `paris-cdr`, a path, or a database URL with `#table` or a `query`.
        regions_per_interval: M, how many regions may count one person within one interval.
        persons: how many people can be in the data.
        max_gap: the longest gap that may be repaired (after the noise).
        max_count: the largest count that can occur; sets the scale of a private training without
            looking at any count.
        events: whether the source holds raw events, which are counted under the bound of [privacy].
        query: for a database URL without `#table`, a SELECT with `:name` for parameters.
        parameters: their values; sent bound, never pasted into the query.
        keep_raw: whether `ingest` also keeps raw counts, in tables of their own.
        account: the data set's name in the ledger, if not the source's; sources of the same people
            belong to one account.
        population: whose records these are, in words; one account is about one population.
    """

    name: str = "synthetic"
    regions_per_interval: int | None = None
    persons: int | None = None
    max_gap: str = "1d"
    max_count: float | None = None
    events: bool = False
    query: str | None = None
    parameters: dict[str, str | int | float] | None = None
    keep_raw: bool = False
    account: str | None = None
    population: str | None = None

    def __post_init__(self) -> None:
        if self.max_count is not None and not 1 <= self.max_count < float("inf"):
            raise ValueError(f"expected max_count={self.max_count} to be at least 1 and finite")
        if self.parameters and not self.query:
            raise ValueError("parameters are those of a query; give source.query")


@dataclass(frozen=True)
class PrivacyConfig:
    """`[privacy]`: the promise.

    Attributes:
        mechanism: `none`, `input` or `gradient`.
        unit: whom the promise is about; under `gradient` also `interval-w`.
        epsilon: what may be spent, at `delta`.
        delta: to stay well below one over the number of people.
        intervals_per_unit: K, if the source bounds it below the unit's length.
        weight: w_max, the most that one person adds to one count.
        suppress_below: noised counts below it are set to 0 (small cells); after the noise, for free.
        draw: number of an independent draw of the noise; every number is charged.
        cap_epsilon: the most that may ever be spent on this data set for this unit, at `delta`.
        noise_multiplier: under `gradient`, the noise over the clip; by default the least that keeps
            to epsilon.
        protect_inputs: under `gradient`, whether the counts that forecasts are made from are noised
            and charged as well, with half of epsilon and delta.
        secure_noise: under `gradient`, whether every random number comes from the operating system.
    """

    mechanism: str = "input"
    unit: str = PrivacyUnit.USER.value
    epsilon: float = 1.0
    delta: float = 1e-7
    intervals_per_unit: int | None = None
    weight: int = 1
    suppress_below: int | None = None
    draw: int = 0
    cap_epsilon: float | None = None
    noise_multiplier: float | None = None
    protect_inputs: bool = False
    secure_noise: bool = False

    def __post_init__(self) -> None:
        _one_of("mechanism", self.mechanism, MECHANISMS)
        if isinstance(parse_unit(self.unit), IntervalUnit) and (
            self.mechanism == "input" or self.protect_inputs
        ):
            raise ValueError(
                f"unit={self.unit} lets all counts of an interval change arbitrarily, which no noise "
                "on counts can hide; choose user-interval (the records of one person in one interval)"
            )
        for name in ("noise_multiplier", "protect_inputs", "secure_noise"):
            if getattr(self, name) and self.mechanism != "gradient":
                raise ValueError(f"{name} is for mechanism=gradient, not for {self.mechanism}")
        noise = self.noise_multiplier
        if noise is not None and not noise > 0:
            raise ValueError(
                f"noise_multiplier={noise:g} gives no privacy at all: epsilon would be infinite, "
                f"{self.epsilon:g} was asked for; leave it out to have it computed, or choose "
                "mechanism=none"
            )
        if self.cap_epsilon is not None and not self.cap_epsilon > 0:
            raise ValueError(f"expected cap_epsilon={self.cap_epsilon} to be above 0")
        for name in ("intervals_per_unit", "weight", "suppress_below"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"expected {name}={value} to be at least 1")
        _ = self.budget

    @property
    def budget(self) -> Budget:
        """Epsilon and delta, checked."""
        return Budget(self.epsilon, self.delta)

    @property
    def cap(self) -> Budget | None:
        """The recipe's own cap, beside the account's."""
        return None if self.cap_epsilon is None else Budget(self.cap_epsilon, self.delta)

    @property
    def budget_of_part(self) -> Budget:
        """What one release may spend: half, if both training and inputs are charged."""
        parts = 2 if self.mechanism == "gradient" and self.protect_inputs else 1
        return Budget(self.epsilon / parts, self.delta / parts)


@dataclass(frozen=True)
class WindowConfig:
    """`[windows]`: what a forecast may look at, and which periods it is tried on.

    Attributes:
        lags: latest intervals read one by one.
        seasonal: how far before each target interval to look as well.
        horizon: intervals forecast at once.
        around: intervals just before each seasonal lag that are read as well.
        seasons: past seasons over which the usual change is averaged.
        test: length of the last period, forecast and scored once.
        validation: length of the period before it, which decides when training stops; "0d" for none.
        calibration: length of the last period before the test on which prediction intervals are
            calibrated, by a second model that has not seen it; "0d" for no intervals.
    """

    lags: int = 48
    seasonal: tuple[str, ...] = ("1d", "7d")
    horizon: int = 1
    around: int = 8
    seasons: int = 8
    test: str = "7d"
    validation: str = "7d"
    calibration: str = "0d"

    def __post_init__(self) -> None:
        for name in ("test", "validation", "calibration"):
            value = getattr(self, name)
            if name == "test" or not value.startswith("0"):
                to_span(value)
        WindowSpec(self.lags, (), self.horizon, self.around, self.seasons)

    def spec(self, panel: Panel) -> WindowSpec:
        """The same in the panel's intervals."""
        offsets = tuple(panel.steps(span) for span in self.seasonal)
        return WindowSpec(self.lags, offsets, self.horizon, self.around, self.seasons)


@dataclass(frozen=True)
class ModelConfig:
    """`[model]`: the forecaster.

    Attributes:
        name: a network (`lstm`, `gru`, `bilstm`, `bigru`), `ridge`, `fourier`, `trees`, a convex head
            (`poisson`, `negbin`, `sparse`), or `blend` for the mean of several.
        hidden: width of the hidden state, one direction.
        layers: recurrent layers.
        dropout: probability of dropping a value.
        linear_skip: whether a linear map of all inputs is added to the network's forecast.
        members: of a blend, by name.
        copies: networks of each name in a blend.
        ghost: windows that are normalised together after the recurrent layer (ghost batches); None
            for no normalisation.
    """

    name: str = "bigru"
    hidden: int = 64
    layers: int = 1
    dropout: float = 0.0
    linear_skip: bool = True
    members: tuple[str, ...] = MEMBERS
    copies: int = 2
    ghost: int | None = None

    def forecaster(self, regions: tuple[str, ...], spec: WindowSpec) -> ForecasterConfig:
        """The whole shape of the forecaster, once regions and windows are known."""
        return ForecasterConfig(
            model=self.name,
            hidden=self.hidden,
            layers=self.layers,
            dropout=self.dropout,
            linear_skip=self.linear_skip,
            regions=regions,
            lags=spec.lags,
            seasonal=len(spec.seasonal),
            around=spec.around if spec.seasonal else 0,
            usual=len(spec.seasonal) if spec.seasons else 0,
            horizon=spec.horizon,
            members=self.members,
            copies=self.copies,
            ghost=self.ghost,
        )

    def __post_init__(self) -> None:
        self.forecaster(("any", "other"), WindowSpec(lags=1))


@dataclass(frozen=True)
class Recipe:
    """One run. `seed` fixes initial weights and batch order, never the noise."""

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
        private = self.privacy.mechanism == "gradient"
        if not private or self.model.name in nets.NAMES:
            optimizers.suit(
                self.training.optimizer,
                self.model.name,
                private=private,
                members=self.model.members,
            )
        if not private:
            return
        if self.model.name not in nets.NAMES:
            raise ValueError(
                f"model.name={self.model.name!r} cannot be trained by gradient perturbation; choose "
                f"one of {', '.join(nets.NAMES)}, or mechanism=input"
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
        """What trains the model; None for one that is solved in closed form."""
        private = self.privacy.mechanism == "gradient"
        used = optimizers.allowed(self.model.name, private=private, members=self.model.members)
        return self.training.optimizer if used else None

    def to_dict(self) -> dict[str, Any]:
        """Plain nested values, without those that are not set."""
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
        """The recipe as TOML, every value written out."""
        return tomlkit.dumps(self.to_dict())


def from_dict(values: dict[str, Any]) -> Recipe:
    """A recipe from plain nested values; the source's password is no part of it.

    Raises:
        UsageError: an unknown or impossible value; the message names the field, the value and the
            range.
    """
    _known(values, Recipe, "")
    try:
        recipe = _adapter().validate_python(with_regime(values))
    except ValidationError as errors:
        raise UsageError("; ".join(_explain(error) for error in errors.errors())) from None
    source = replace(recipe.source, name=without_password(recipe.source.name))
    return replace(recipe, source=source, training=_in_its_batches(recipe))


@cache
def _adapter() -> TypeAdapter[Recipe]:
    """What reads recipes; made once, for it takes longer than a hundred of them."""
    return TypeAdapter(Recipe)


def _in_its_batches(recipe: Recipe) -> TrainingConfig:
    """Learning rate and epochs for the batch that is asked for, if they were found for another."""
    asked = recipe.training
    if asked.base_batch is None:
        return asked
    rule = regime.rule_for(asked.optimizer, recipe.privacy.mechanism).rule
    base = replace(asked, batch_size=asked.base_batch, base_batch=None)
    try:
        return regime.adapted(base, asked.batch_size, rule=rule)
    except ModelError as error:
        raise UsageError(f"training: {error}") from None


def without_password(source: str) -> str:
    """A source with the password of a database URL moved to an environment variable.

    Recipes are kept: by Prefect as a parameter, by MLflow as a file, in the ledger. Passwords are
    not.
    """
    found = re.fullmatch(
        r"(?P<before>[^:/]+://[^:/@]*:)(?P<password>[^@$][^@]*)(?P<after>@.*)", source
    )
    if not found:
        return source
    os.environ[SOURCE_PASSWORD] = found["password"]
    return f"{found['before']}${{{SOURCE_PASSWORD}}}{found['after']}"


def _known(values: dict[str, Any], kind: Any, where: str) -> None:
    """Refuse unknown sections and fields: a misspelt epsilon must not fall back to a default."""
    known = [one.name for one in fields(kind)]
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {where}{close[0]}?" if close else f"known: {', '.join(known)}"
            raise UsageError(f"unknown recipe field {where}{name}; {hint}")
        if is_dataclass(hints[name]):
            if not isinstance(value, dict):
                raise UsageError(f"recipe section [{name}] must be a table, got {value!r}")
            _known(value, hints[name], f"{where}{name}.")


def _explain(error: Any) -> str:
    """One line for one of pydantic's errors."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "value_error":
        return f"{where}: {error['ctx']['error']}"
    return f"{where}={error['input']!r}: {error['msg']}"


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}={value!r} is unknown; choose one of {', '.join(known)}")
