"""Sections of a recipe: source, privacy, windows and model; each validates itself."""

from __future__ import annotations

from dataclasses import dataclass

from data.bound import check_regions_ever, check_runs_per_day
from data.panel import Panel
from data.spans import to_span
from data.windows import WindowSpec
from dp.budget import Budget
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit, parse_unit
from models.config import MEMBERS, ForecasterConfig

MECHANISMS = ("none", "input", "gradient")
NOISES = ("least", "independent")


@dataclass(frozen=True)
class SourceConfig:
    """`[source]`: the source of the counts, and declarations about it.

    Attributes:
        name: `synthetic`, `paris-cdr`, a path, or a database URL with `#table` or a `query`.
        regions_per_interval: M, how many regions may count one person within one interval.
        regions_ever: G, how many different regions may count one privacy unit in all of its intervals;
            declared for counts, enforced for events.
        runs_per_day: r, how many runs of consecutive intervals in one region count one person on one
            day; enforced for events, whole runs at a time.
        nested: regions that lie within others, as names of the inner ones by the outer one: whoever is
            counted in the inner one is counted in the outer one in the same interval.
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
    regions_ever: int | None = None
    runs_per_day: int | None = None
    nested: dict[str, list[str]] | None = None
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
        if self.nested and self.events:
            raise ValueError(
                "nested is declared for counts; events are counted in one region at a time, or in at "
                "most regions_per_interval"
            )
        if self.parameters and not self.query:
            raise ValueError("parameters are those of a query; give source.query")
        check_regions_ever(self.regions_ever, regions_per_interval=self.regions_per_interval)
        check_runs_per_day(self.runs_per_day, regions_per_interval=self.regions_per_interval)
        if self.runs_per_day is not None and not self.events:
            raise ValueError(
                f"runs_per_day={self.runs_per_day} is enforced when raw events are counted, and means "
                "nothing for counts; leave it out, or give --events (source.events=true)"
            )


@dataclass(frozen=True)
class PrivacyConfig:
    """`[privacy]`: the promise.

    Attributes:
        mechanism: `none`, `input` or `gradient`.
        unit: whom the promise is about; under `gradient` also `interval-w`.
        epsilon: what may be spent, at `delta`.
        delta: probability that the promise fails; well below one over the number of people.
        noise: `least` has the counts of a region share an offset where that needs less noise for the
            same promise; `independent` never does, so that shorter units do not pay for it.
        intervals_per_unit: K, if the source bounds it below the unit's length; not for `interval-w`,
            whose intervals a cut would couple.
        weight: w_max, the most that one person adds to one count.
        suppress_below: noised counts below it are set to 0 (small cells), which is post-processing.
        draw: number of an independent draw of the noise; every number is charged.
        cap_epsilon: the most that may ever be spent on this data set for this unit, at `delta`.
        noise_multiplier: under `gradient`, the noise over the clip; by default the least that keeps
            epsilon.
        protect_inputs: under `gradient`, whether the counts that forecasts are made from are noised
            and charged as well, with half of epsilon and delta.
        secure_noise: accepted in recipes of earlier versions and without effect: all noise comes
            from a cryptographic generator.
    """

    mechanism: str = "input"
    unit: str = PrivacyUnit.USER.value
    epsilon: float = 1.0
    delta: float = 1e-7
    noise: str = "least"
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
        _one_of("noise", self.noise, NOISES)
        if isinstance(parse_unit(self.unit), IntervalUnit) and (
            self.mechanism == "input" or self.protect_inputs
        ):
            raise ValueError(
                f"unit={self.unit} lets all counts of an interval change arbitrarily, which no noise "
                "on counts can hide; choose user-interval (the records of one person in one interval)"
            )
        if isinstance(parse_unit(self.unit), IntervalUnit) and self.intervals_per_unit is not None:
            raise ValueError(
                f"intervals_per_unit={self.intervals_per_unit} cuts records person by person over the "
                "whole panel: what is changed in one interval then moves counts in all others, and "
                f"unit={self.unit} counts on intervals being independent; leave intervals_per_unit "
                "out, or choose a unit of persons (user, user-week, user-day)"
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
        """The recipe's own cap, in addition to the account's."""
        return None if self.cap_epsilon is None else Budget(self.cap_epsilon, self.delta)

    @property
    def budget_of_part(self) -> Budget:
        """Budget of one release: half, if both training and inputs are charged."""
        parts = 2 if self.mechanism == "gradient" and self.protect_inputs else 1
        return Budget(self.epsilon / parts, self.delta / parts)


@dataclass(frozen=True)
class WindowConfig:
    """`[windows]`: the inputs of a forecast, and the periods that it is evaluated on.

    Attributes:
        lags: latest intervals read one by one.
        seasonal: offsets before each target interval whose intervals are also read.
        horizon: intervals forecast at once.
        around: intervals just before each seasonal lag that are also read.
        seasons: past seasons over which the seasonal change is averaged.
        test: length of the last period, which is forecast and scored once.
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
        """Return the windows in the panel's intervals."""
        offsets = tuple(panel.steps(span) for span in self.seasonal)
        return WindowSpec(self.lags, offsets, self.horizon, self.around, self.seasons)


@dataclass(frozen=True)
class ModelConfig:
    """`[model]`: the forecaster.

    Attributes:
        name: a network (`lstm`, `gru`, `bilstm`, `bigru`), `ridge`, `fourier`, `trees`, a convex head
            (`poisson`, `negbin`, `sparse`), or `blend` for the mean of several.
        hidden: width of the hidden state, per direction.
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
        """Return the forecaster's configuration for given regions and windows."""
        return ForecasterConfig(
            model=self.name,
            hidden=self.hidden,
            layers=self.layers,
            dropout=self.dropout,
            linear_skip=self.linear_skip,
            regions=regions,
            lags=spec.lags,
            seasonal=len(spec.seasonal),
            seasonal_context=spec.seasonal_context if spec.seasonal else 0,
            seasonal_change=len(spec.seasonal) if spec.seasons else 0,
            horizon=spec.horizon,
            members=self.members,
            copies=self.copies,
            ghost=self.ghost,
        )

    def __post_init__(self) -> None:
        self.forecaster(("any", "other"), WindowSpec(lags=1))


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}={value!r} is unknown; choose one of {', '.join(known)}")
