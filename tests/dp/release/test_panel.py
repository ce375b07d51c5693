import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp.budget import Budget, BudgetRefused
from dp.ledger import Ledger, fingerprint, local_secret
from dp.mechanisms.count_noise import CountNoise, calibrate
from dp.release.panel import Release, release_counts
from dp.unit.contribution import ContributionBound
from dp.unit.privacy_unit import PrivacyUnit

ROOT = Path(__file__).resolve().parents[3]
BOUND = ContributionBound(intervals=48, regions=1)


def counts() -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=48, freq="30min", name="time")
    frame = pd.DataFrame(np.arange(96.0).reshape(48, 2), index=times, columns=["a", "b"])
    frame.iloc[5] = np.nan
    return frame


def release(
    home: Path,
    frame: pd.DataFrame | None = None,
    epsilon: float = 1.0,
    draw: int = 0,
    cap: float | None = None,
) -> Release:
    return release_counts(
        counts() if frame is None else frame,
        calibrate(Budget(epsilon, 1e-7), BOUND),
        dataset="city",
        unit=PrivacyUnit.USER_DAY,
        ledger=Ledger(f"sqlite:///{home / 'ledger.db'}"),
        secret=local_secret(home / "secret"),
        draw=draw,
        cap=None if cap is None else Budget(cap, 1e-7),
    )


def entries(home: Path) -> list[str]:
    ledger = Ledger(f"sqlite:///{home / 'ledger.db'}")
    return [entry.state for entry in ledger.entries("city", PrivacyUnit.USER_DAY)]


def test_the_same_request_returns_the_same_release(tmp_path: Path) -> None:
    first, second = release(tmp_path), release(tmp_path)
    pd.testing.assert_frame_equal(first.counts, second.counts)
    assert first.fresh
    assert not second.fresh
    assert first.entry.id == second.entry.id
    assert entries(tmp_path) == ["released"]


def test_every_other_request_is_charged(tmp_path: Path) -> None:
    changed = counts()
    changed.iloc[0, 0] = changed.to_numpy()[0, 0] + 1
    drawn = [
        release(tmp_path),
        release(tmp_path, draw=1),
        release(tmp_path, epsilon=0.5),
        release(tmp_path, changed),
    ]
    assert len({one.entry.key for one in drawn}) == 4
    assert len(entries(tmp_path)) == 4
    assert not drawn[0].counts.equals(drawn[1].counts)


def test_the_charge_is_committed_before_the_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def crash(*_: object) -> None:
        seen.append(entries(tmp_path))  # a second connection: sees only what is committed
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CountNoise, "draw", crash)
        with pytest.raises(KeyboardInterrupt):
            release(tmp_path)
    assert seen == [["committed"]]
    release(tmp_path)
    # Noise may have been drawn by the attempt that crashed: both are paid for.
    assert entries(tmp_path) == ["committed", "released"]


def test_a_release_is_kept_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_parquet", full)
        with pytest.raises(OSError, match="no space"):
            release(tmp_path)
    assert entries(tmp_path) == ["committed"]
    assert release(tmp_path).fresh


def test_past_the_cap_nothing_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release(tmp_path, cap=1.0)
    with monkeypatch.context() as patch:
        patch.setattr(CountNoise, "draw", lambda *_: pytest.fail("noise was drawn"))
        with pytest.raises(BudgetRefused) as refused:
            release(tmp_path, draw=1, cap=1.3)
    refusal = refused.value
    assert refusal.requested == pytest.approx(1.0, rel=1e-6)
    assert refusal.spent == pytest.approx(1.0, rel=1e-6)
    assert refusal.short == pytest.approx(refusal.requested - refusal.left)
    for word in ("requested", "spent", "left", "short", "user-day", "1e-07", "add or remove"):
        assert word in str(refusal)
    assert entries(tmp_path) == ["released"]
    # What the refusal says is left does fit, and hardly more does.
    release(tmp_path, epsilon=refusal.left * 0.999, draw=2, cap=1.3)
    with pytest.raises(BudgetRefused):
        release(tmp_path, epsilon=0.2, draw=3, cap=1.3)


def test_total_grows_like_composition_and_not_like_a_sum(tmp_path: Path) -> None:
    for draw in range(4):
        release(tmp_path, draw=draw)
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    spent = ledger.spent("city", PrivacyUnit.USER_DAY, 1e-7)
    assert 2.0 < spent < 2.4  # four times the same noise: √4 and the growth of epsilon with μ
    # one day with a gap: to a whole user it is 47 intervals, the bound of 48 was declared for a day
    assert 0.95 * spent < ledger.spent("city", PrivacyUnit.USER, 1e-7) < spent
    assert ledger.spent("village", PrivacyUnit.USER_DAY, 1e-7) == 0


ALONE = """
import runpy, sys
from pathlib import Path
release = runpy.run_path(sys.argv[1])["release"]
release(Path(sys.argv[2]), **eval(sys.argv[3]))
"""


def _at_once(home: Path, *requests: dict[str, float]) -> list[tuple[int, str]]:
    """Exit codes and last words of processes of their own, as commands are."""
    started = [sys.executable, "-c", ALONE, __file__, str(home)]
    workers = [
        subprocess.Popen([*started, repr(one)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for one in requests
    ]
    said = [worker.communicate(timeout=60)[1] for worker in workers]
    return [(worker.returncode, text) for worker, text in zip(workers, said, strict=True)]


def test_processes_at_once_never_pass_the_cap(tmp_path: Path) -> None:
    release(tmp_path, epsilon=0.01, draw=9)  # tables exist
    ended = _at_once(tmp_path, *({"draw": draw, "cap": 1.3} for draw in range(4)))
    assert sorted(code for code, _ in ended) == [0, 1, 1, 1], ended
    assert all("BudgetRefused" in text for code, text in ended if code), ended
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert 1.0 <= ledger.spent("city", PrivacyUnit.USER_DAY, 1e-7) <= 1.3


def test_processes_with_one_request_draw_and_pay_once(tmp_path: Path) -> None:
    """From the making of the database on."""
    ended = _at_once(tmp_path, *({} for _ in range(6)))
    assert [code for code, _ in ended] == [0] * 6, ended
    assert entries(tmp_path) == ["released"]


def test_fingerprints_need_the_secret(tmp_path: Path) -> None:
    first = local_secret(tmp_path / "a" / "secret")
    assert first == local_secret(tmp_path / "a" / "secret")
    assert fingerprint(first, counts()) != fingerprint(local_secret(tmp_path / "b"), counts())
    assert (tmp_path / "a" / "secret").stat().st_mode & 0o077 == 0


def test_no_raw_count_is_in_the_ledger(tmp_path: Path) -> None:
    frame = counts()
    frame.iloc[0, 0] = 987654321
    release(tmp_path, frame)
    assert b"987654321" not in (tmp_path / "ledger.db").read_bytes()


READ = """
import io, os, sys
import pandas, pyarrow.parquet
from dp.release.panel import panel_of
buffer = io.BytesIO()
pandas.DataFrame({"a": [1.0, 2.0]}).to_parquet(buffer)
before = len(os.listdir("/proc/self/task"))
panel_of(buffer.getvalue())
sys.exit(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's list of threads")
def test_reading_a_release_starts_no_threads() -> None:
    """One that outlives the interpreter aborts the process, and its exit code with it."""
    done = subprocess.run([sys.executable, "-c", READ], cwd=ROOT, timeout=60)
    assert done.returncode == 0
