"""Releasing a panel: charge, then noise, then keep it, so that it is never drawn twice."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dp.ledger import Charge, Entry, Ledger, fingerprint
from dp.ledger.identity import release_key
from dp.mechanisms import CountNoise
from dp.unit import PrivacyUnit


@dataclass(frozen=True)
class Release:
    """A noised panel and the ledger's entry for it.

    Attributes:
        counts: noised counts, same index and columns as the raw ones; NaN where not observed.
        entry: the charge.
        fresh: whether noise was drawn now, or the kept release was returned.
    """

    counts: pd.DataFrame
    entry: Entry
    fresh: bool


def release_counts(
    counts: pd.DataFrame,
    noise: CountNoise,
    *,
    account: str,
    unit: PrivacyUnit,
    ledger: Ledger,
    folder: Path,
    secret: bytes,
    draw: int = 0,
    cap: float | None = None,
) -> Release:
    """Noise a panel under a charge; the same request returns the same release for nothing.

    A release is the same if panel, unit, bound, sigma and `draw` are. A crash between the charge and
    the keeping leaves a charge without a release; noise may have been drawn for it, so the next
    attempt pays again.

    Args:
        counts: raw counts, [T, R]; rows of NaN where not observed.
        noise: the calibrated mechanism.
        account: the data set's name in the ledger.
        unit: privacy unit.
        ledger: where the charge is written.
        folder: where releases are kept.
        secret: the installation's key.
        draw: number of an independent draw; every number is charged.
        cap: largest total epsilon of the account for this unit.

    Raises:
        BudgetRefused: the total would pass the cap; nothing was drawn.
    """
    print_of_data = fingerprint(secret, counts)
    identity = {"data": print_of_data, "unit": unit.value, "event": noise.event(), "draw": draw}
    key = release_key(secret, identity)
    path = folder / f"{key}.parquet"
    entry = ledger.find(key)
    if entry and path.exists():
        return Release(_read(path, counts), entry, fresh=False)
    folder.mkdir(parents=True, exist_ok=True)
    entry = ledger.charge(
        Charge(
            key=key,
            account=account,
            fingerprint=print_of_data,
            unit=unit,
            epsilon=noise.epsilon,
            delta=noise.budget.delta,
            rho=noise.rho,
            event=noise.event(),
            purpose="noised panel",
        ),
        cap=cap,
    )
    noised = pd.DataFrame(
        noise.draw(counts.to_numpy(dtype=float)), index=counts.index, columns=counts.columns
    )
    fresh = _keep(noised, path)
    ledger.released(entry)
    return Release(noised if fresh else _read(path, counts), entry, fresh)


def _keep(noised: pd.DataFrame, path: Path) -> bool:
    """Keep a release, whole or not at all; False if another process has kept one first."""
    temporary = path.with_name(f".{path.stem}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        noised.to_parquet(temporary)
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _read(path: Path, like: pd.DataFrame) -> pd.DataFrame:
    kept = pd.read_parquet(path)
    kept.index = like.index
    kept.columns = like.columns
    return kept
