"""Audit of a recipe or of a run: what a determined attacker measures, against what is claimed.

Only made-up data are read, and nothing is charged: what is audited is the mechanism as implemented.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dp.audit import Measured
from dp.audit.counts import contribution
from dp.budget import Budget
from dp.composition.total import COUNTS, OFFSETS, RUNS
from dp.ledger import Entry, Ledger
from dp.mechanisms import run_noise
from dp.mechanisms.count_noise import CountNoise
from dp.mechanisms.design import Noise
from dp.mechanisms.offset_noise import OffsetNoise, noise_of
from dp.mechanisms.window_sampling import WindowSampling, sampling_of
from dp.unit.contribution import ContributionBound, derive_bound
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit, parse_unit
from flows.audit import counts, training
from flows.audit.figure import draw
from flows.document import Document
from flows.errors import UsageError
from flows.pipeline.dpsgd.plan import make_plan
from flows.pipeline.privatise import mechanism
from flows.recipe.load import load, recipe_folder
from flows.recipe.recipe import Recipe, from_dict
from flows.runtime import progress
from flows.settings import Home
from flows.tracking import Tracker
from models.checkpoint import open_model

if TYPE_CHECKING:
    from data.panel import Panel
    from flows.pipeline.windows import Prepared

MADE_UP = "made-up data only; nothing was read of any source, and nothing was charged"


@dataclass(frozen=True)
class Subject:
    """The subject of an audit.

    Attributes:
        name: as people know it.
        recipe: its configuration.
        run_id: of a run.
        charges: entries of the ledger that a run made; empty for a recipe.
        regions: of a run's panel.
        minutes: length of its intervals.
    """

    name: str
    recipe: Recipe
    run_id: str | None = None
    charges: tuple[Entry, ...] = ()
    regions: int | None = None
    minutes: int | None = None


def audit(target: str, home: Home, *, canaries: int = 1000, confidence: float = 0.95) -> Document:
    """Audit the mechanism of a recipe or of a run.

    Args:
        target: a recipe's name or path, the start of a run's id, or `latest`.
        home: where runs and the ledger are.
        canaries: m, of the white-box audits.
        confidence: of each bound.

    Raises:
        UsageError: nothing is claimed, no such target, or a number out of range.
    """
    if not 20 <= canaries <= 20_000:
        raise UsageError(f"expected --canaries {canaries} to be from 20 to 20000")
    if not 0.5 <= confidence < 1:
        raise UsageError(f"expected --confidence {confidence} to be at least 0.5 and below 1")
    started = time.perf_counter()
    subject = find(target, home)
    privacy = subject.recipe.privacy
    if privacy.mechanism == "none":
        raise UsageError(f"{subject.name} has no mechanism: nothing is claimed, nothing to audit")
    parts: list[Document] = []
    attacks: list[Document] = []
    if privacy.mechanism == "gradient":
        parts += _training(subject, canaries, confidence)
    if privacy.mechanism == "input" or privacy.protect_inputs:
        noise = _noise(subject)
        parts += _counts(noise, canaries, confidence)
        attacks += _attacks(privacy.budget_of_part, shared=isinstance(noise, OffsetNoise))
    name = re.sub(r"[^A-Za-z0-9-]+", "-", subject.run_id or Path(target).stem)[:60]
    figure = home.reports / f"audit-{name}.png"
    document = {
        "audited": subject.name,
        "run_id": subject.run_id,
        "mechanism": privacy.mechanism,
        "unit": privacy.unit,
        "neighbours": parse_unit(privacy.unit).neighbours,
        "epsilon": max(part["claimed"] for part in parts),
        "delta": parts[0]["delta"],
        "confidence": confidence,
        "measurements": [
            {key: value for key, value in part.items() if key != "drawn"} for part in parts
        ],
        "attacks": attacks,
        "refuted": any(part["epsilon"] > part["claimed"] for part in parts)
        or any(one["refutes"] for one in attacks),
        "data": MADE_UP,
        "figure": str(figure),
    }
    figure.write_bytes(draw(document, parts))
    return {**document, "seconds": round(time.perf_counter() - started, 1)}


def find(target: str, home: Home) -> Subject:
    """The recipe or run that is meant.

    Raises:
        UsageError: there is none.
    """
    if target.endswith(".toml") or (recipe_folder() / f"{target}.toml").is_file():
        return Subject(f"recipe {target}", from_dict(load(target)))
    tracker = Tracker(home)
    run_id = tracker.find(target)["run_id"]
    files = tracker.files(run_id)
    recipe = from_dict(load(str(files / "recipe.toml")))
    saved = open_model(files / "model")
    return Subject(
        f"run {run_id[:8]}",
        recipe,
        run_id,
        _charges(files, home, saved.extra["release"]),
        len(saved.model.config.regions),
        saved.interval_seconds // 60,
    )


def _charges(files: Path, home: Home, release: str | None) -> tuple[Entry, ...]:
    entry = json.loads((files / "result.json").read_text())["ledger_entry"]
    if entry is None:
        return ()
    ledger = Ledger(home.database_url)
    beside = ledger.find(release) if release else None
    first = ledger.entry(entry)
    return (first,) if beside is None or beside.id == first.id else (first, beside)


def _training(subject: Subject, canaries: int, confidence: float) -> list[Document]:
    recipe = subject.recipe
    panel, on_city = training.on_a_city(recipe, subject.regions, subject.minutes)
    prepared = training.windows_of(panel, on_city)
    sampling, claimed = _sampling(subject, prepared, on_city)
    progress.stage("audit: gradients")
    seen, _, measured = training.white_box(
        on_city, sampling, prepared, claimed, canaries, confidence
    )
    drawn = (seen.scores, seen.included)
    parts = [_part("gradients (white box)", canaries, one, claimed, drawn) for one in measured]
    unit = parse_unit(recipe.privacy.unit)
    width = unit.width if isinstance(unit, IntervalUnit) else _width(unit, on_city, panel)
    progress.stage("audit: losses")
    losses = width and training.black_box(on_city, panel, width, claimed, confidence)
    if losses:
        parts += [_part("losses (black box)", losses[0], attack, claimed) for attack in losses[1]]
    return parts


def _width(unit: PrivacyUnit, recipe: Recipe, panel: Panel) -> int:
    bound, _ = derive_bound(
        unit,
        observed=len(panel.times),
        interval=panel.interval.to_pytimedelta(),
        regions=len(panel.regions),
        intervals_per_unit=recipe.privacy.intervals_per_unit,
        start=panel.times[0].to_pydatetime(),
    )
    return bound.intervals


def _sampling(
    subject: Subject, prepared: Prepared, recipe: Recipe
) -> tuple[WindowSampling, Budget]:
    """Return what was charged for a run, or would be for a recipe on the city."""
    charged = [one for one in subject.charges if one.purpose == "training"]
    if charged:
        return sampling_of(charged[0].event), Budget(charged[0].epsilon, charged[0].delta)
    made = make_plan(prepared, recipe)
    return made.sampling, Budget(made.sampling.epsilon(made.delta), made.delta)


def _counts(noise: Noise, canaries: int, confidence: float) -> list[Document]:
    progress.stage("audit: counts")
    used, scores, coins, _, measured = counts.canaries_in(noise, canaries, confidence)
    where = f"released counts ({np.count_nonzero(contribution(used))} cells a canary)"
    claimed = Budget(used.epsilon, used.budget.delta)
    return [_part(where, canaries, one, claimed, (scores, coins)) for one in measured]


def _noise(subject: Subject) -> Noise:
    """The noise that was charged for a run, or would be for a recipe on the city."""
    for one in subject.charges:
        if one.event["mechanism"] == OFFSETS:
            return noise_of(one.event, Budget(one.epsilon * (1 + 1e-9), one.delta))
        if one.event["mechanism"] == RUNS:
            return run_noise.noise_of(one.event, Budget(one.epsilon * (1 + 1e-9), one.delta))
        if one.event["mechanism"] == COUNTS:
            bound = ContributionBound(
                *(one.event[key] for key in ("intervals", "regions", "weight"))
            )
            return CountNoise(
                bound, Budget(one.epsilon * (1 + 1e-9), one.delta), one.event["sigma"]
            )
    recipe = subject.recipe
    panel, _ = training.on_a_city(recipe, None, None)
    source, regions = recipe.source, len(panel.regions)
    ever = None if source.regions_ever is None else min(source.regions_ever, regions)
    most = source.regions_per_interval or panel.regions_per_interval
    return mechanism(replace(panel, regions_per_interval=most, regions_ever=ever), recipe)[0]


def _attacks(budget: Budget, *, shared: bool) -> list[Document]:
    progress.stage("audit: a planted person")
    attempts = []
    for unit in (PrivacyUnit.USER, PrivacyUnit.USER_DAY):
        for attack in counts.find_a_person(budget, unit, shared=shared):
            attempts.append({**asdict(attack), "refutes": attack.refutes})
    return attempts


def _part(
    access: str, canaries: int, one: Measured, claimed: Budget, drawn: Any = None
) -> Document:
    return {
        "access": access,
        "canaries": canaries,
        **asdict(one),
        "claimed": claimed.epsilon,
        "delta": claimed.delta,
        "drawn": drawn,
    }
