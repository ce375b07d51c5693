"""Published counts: one path into the store, for released charges alone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data.store import open_store, panel_releases, read_panel
from dp.budget import Budget
from dp.ledger import Ledger
from dp.mechanisms.count_noise import calibrate
from dp.mechanisms.run_design import least_run_noise
from dp.release.panel import release_counts
from dp.unit.contribution import ContributionBound
from dp.unit.privacy_unit import PrivacyUnit
from dp.unit.run_set import RunSet
from flows.stream.publish import publish, released

INTERVAL = pd.Timedelta(hours=2)


def test_a_release_is_appended_once_and_under_its_charge() -> None:
    times = pd.date_range("2024-01-01", periods=24, freq=INTERVAL, name="time")
    counts = pd.DataFrame(np.full((24, 2), 500.0), times, ["north", "south"])
    noise = calibrate(Budget(1.0, 1e-6), ContributionBound(12, 2, 3))
    release = release_counts(
        counts,
        noise,
        ledger=Ledger("sqlite://"),
        dataset="city",
        unit=PrivacyUnit.USER_DAY,
        secret=b"secret",
    )
    store = open_store("sqlite://")
    with pytest.raises(
        ValueError, match=r"expected ledger entry \d+ to be released, it is committed"
    ):
        publish(
            store,
            "city",
            release.counts,
            replace(release.entry, state="committed"),
            interval=INTERVAL,
        )
    first = publish(store, "city", release.counts, release.entry, interval=INTERVAL)
    again = publish(store, "city", release.counts, release.entry, interval=INTERVAL)
    assert (first.new, again.new) == (24, 0)
    pd.testing.assert_frame_equal(
        read_panel(store, "city").counts, release.counts, check_freq=False
    )
    (kept,) = panel_releases(store, "city")
    assert kept == released(release.entry)
    assert kept.sensitivity == noise.bound.sensitivity == 3 * 24**0.5
    assert (kept.epsilon, kept.delta, kept.sigma) == (noise.epsilon, 1e-6, noise.sigma)


def test_the_deviation_of_noise_on_runs_is_that_of_a_count() -> None:
    times = pd.date_range("2024-01-01", periods=24, freq=INTERVAL, name="time")
    counts = pd.DataFrame(np.full((24, 2), 500.0), times, ["north", "south"])
    noise = least_run_noise(Budget(1.0, 1e-6), RunSet(ContributionBound(12, 1), 2, 1), 24)
    release = release_counts(
        counts,
        noise,
        ledger=Ledger("sqlite://"),
        dataset="city",
        unit=PrivacyUnit.USER_DAY,
        secret=b"secret",
        runs_per_day=1,
        enforced=True,
    )
    assert released(release.entry).sigma == pytest.approx(noise.deviation)
    assert noise.deviation > noise.sigma
