"""`latest` is the run that was recorded last, even where the clock was set back."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from flows.settings import Home, open_home
from flows.tracking import Tracker


def test_the_latest_run_is_the_last_one_though_the_clock_was_set_back(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, now, ids = open_home(), time.time(), []
    for shift in (0, -86_400, -7_200):
        monkeypatch.setattr(time, "time", lambda shift=shift: now + shift)
        with Tracker(place).run("a run", "city") as run:
            ids.append(run.run_id)
        assert Tracker(place).find("latest")["run_id"] == ids[-1]
    found = Tracker(place).runs()
    assert [one["run_id"] for one in found] == ids[::-1]
    told = datetime.fromtimestamp(now - 86_400, UTC)  # not the place in the order
    assert found[1]["started"] == f"{told:%Y-%m-%d %H:%M}"
