"""Full disks, folders that cannot be written, clocks that jump, servers that go, files that break."""

import ast
import contextlib
import os
import pickle
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import tomlkit
import typer
from sqlalchemy import text

from data import sources
from data.errors import DataError
from dp.errors import LedgerError
from dp.ledger import Ledger, log, verify
from dp.permit import Permit
from flows.cli.options import errors
from flows.forecasting.forecast import forecast_run
from flows.pipeline.result import RunResult
from flows.settings import Home
from flows.tracking import Tracker
from models import checkpoint
from models.errors import ModelError

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., RunResult]


def told(work: Callable[[], Any], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and message, as a command has them; anything else than a message is a failure."""
    with pytest.raises(typer.Exit) as left, errors():
        work()
    return int(left.value.exit_code), capsys.readouterr().err


def states(home: Home) -> list[str]:
    return [entry.state for entry in Ledger(home.database_url).entries()]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Entries whose permits were used."""
    used: list[int] = []
    honest = Permit.use

    def use(self: Permit, *arguments: Any) -> None:
        honest(self, *arguments)
        used.append(self.entry)

    monkeypatch.setattr(Permit, "use", use)
    return used


# Disks


@contextlib.contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """What the kernel makes of a quota: writes beyond it fail."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 1_000, 20_000, 150_000])
def test_no_room_at_any_point_is_a_message_and_never_an_uncharged_release(
    run: Run, home: Home, drawn: list[int], size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run(0)  # databases are there
    before = len(states(home))
    drawn.clear()
    with files_no_larger_than(size):
        code, said = told(lambda: run(1), capsys)
    assert code == 1
    assert "Traceback" not in said
    assert said.startswith("error: ")
    ledger = Ledger(home.database_url)
    assert verify(ledger).holds
    paid = {entry.id: entry.state for entry in ledger.entries()}
    assert all(paid[entry] in ("committed", "released") for entry in drawn)
    assert len(paid) - before <= 1
    assert len(Tracker(home).runs()) == 1  # nothing half-written is listed
    run(1)  # and with room again it goes on
    assert states(home).count("released") == 2
    assert verify(ledger).holds


def test_a_file_system_that_is_full(
    kills: ModuleType,
    run: Run,
    home: Home,
    csv: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        place = Home(small)
        for folder in (place.artifacts, place.reports):
            folder.mkdir()
        Ledger(place.database_url)
        filler = small / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        code, said = told(
            lambda: kills.pipeline(kills.recipe(csv, 0), place, lambda _: None), capsys
        )
        assert code == 1
        assert "Traceback" not in said
        filler.unlink()
        assert verify(Ledger(place.database_url)).holds
        assert "released" not in states(place)
        kept = kills.privatise_step.fn(*_read(kills, csv), place)
        assert kept.guarantee.ledger_entry
        assert states(place)[-1] == "released"
    finally:
        subprocess.run(["umount", str(small)], check=True)


def _read(kills: ModuleType, csv: Path) -> tuple[Any, Any]:
    plan = kills.from_dict(kills.recipe(csv, 0))
    return kills.validate_step.fn(kills.ingest_step.fn(plan), "1d")[0], plan


def test_a_folder_that_became_read_only(
    kills: ModuleType, run: Run, home: Home, csv: Path, tmp_path: Path
) -> None:
    run(0)
    before = states(home)
    wanted = tmp_path / "wanted.toml"
    wanted.write_text(tomlkit.dumps(kills.recipe(csv, 1)))
    home.root.chmod(0o555)
    # root may write everywhere, but for this right
    bound = ["setpriv", "--bounding-set", "-dac_override"] if os.getuid() == 0 else []
    command = [sys.executable, "-c", "from flows.cli.app import main; main()", "train", str(wanted)]
    done = subprocess.run(
        [*bound, *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=200
    )
    home.root.chmod(0o700)
    assert done.returncode == 1, done.stderr
    assert "error: " in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert states(home) == before == ["released"]
    assert verify(Ledger(home.database_url)).holds


# Clocks


def test_a_clock_that_jumps_back_changes_nothing(
    run: Run, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(0)
    real, wall = datetime, time.time

    class Jumped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real.now(tz) - timedelta(days=4_000)

    with monkeypatch.context() as patch:
        patch.setattr(log, "datetime", Jumped)
        patch.setattr(time, "time", lambda: wall() - 4_000 * 86_400)
        earlier = run(1)
    again = run(1)  # the same request, after the clock was put right
    ledger = Ledger(home.database_url)
    assert verify(ledger).holds
    assert [entry.state for entry in ledger.entries()] == ["released", "released"]
    assert again.ledger_entry == earlier.ledger_entry
    times = [entry.time for entry in ledger.entries()]
    assert times[1] < times[0]  # told as it was, and the order is that of the log
    assert real.now(UTC).year - int(times[1][:4]) >= 10


# Databases


@pytest.mark.slow
def test_a_server_that_goes_and_comes_back(
    run: Run,
    home: Home,
    drawn: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own_server: Any,
) -> None:
    monkeypatch.setenv("VEILCAST_DATABASE_URL", own_server.url)
    run(0)
    own_server.stop()
    drawn.clear()
    code, said = told(lambda: run(1), capsys)
    assert code == 1
    assert "Nothing was drawn" in said
    assert "server is up" in said
    assert drawn == []
    own_server.start()
    run(1)
    assert states(home) == ["released", "released"]

    honest = Ledger.commit

    def gone(self: Ledger, *arguments: Any, **options: Any) -> Permit:
        permit = honest(self, *arguments, **options)
        own_server.stop()  # between the commit and the release
        return permit

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "commit", gone)
        code, said = told(lambda: run(2), capsys)
    assert code == 1
    assert "Traceback" not in said
    own_server.start()
    assert states(home) == [
        "released",
        "released",
        "committed",
    ]  # paid, since it may have been drawn
    run(2)
    assert states(home)[2:] == ["committed", "released"]
    assert verify(Ledger(home.database_url)).holds


# Files


def test_half_a_parquet_file_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    times = pd.date_range("2024-01-01", periods=60, freq="2h", name="time")
    whole = tmp_path / "whole.parquet"
    pd.DataFrame({"a": range(60), "b": range(60)}, times).to_parquet(whole)
    content, half = whole.read_bytes(), tmp_path / "half.parquet"
    for end in range(1, len(content), max(1, len(content) // 60)):
        half.write_bytes(content[:end])
        with pytest.raises(DataError, match=r"half\.parquet is not a whole Parquet file"):
            sources.read(str(half))


def test_a_damaged_checkpoint_forecasts_nothing(run: Run, home: Home) -> None:
    files = Tracker(home).files(run(0).run_id)
    weights = files / "model" / checkpoint.WEIGHTS
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="is corrupt or not the file that was saved"):
        forecast_run(files, home)


def test_a_damaged_release_is_neither_read_nor_drawn_again(
    run: Run, home: Home, drawn: list[int]
) -> None:
    result = run(0)
    ledger = Ledger(home.database_url)
    with ledger.database.writing() as session:
        session.execute(text("UPDATE ledger_releases SET content = substr(content, 1, 200)"))
    drawn.clear()
    with pytest.raises(
        LedgerError, match=r"release of entry \d+ is not what was kept.*privacy\.draw"
    ):
        run(0)
    with pytest.raises(LedgerError, match="is not what was kept"):
        forecast_run(Tracker(home).files(result.run_id), home)
    assert drawn == []
    assert not verify(ledger).holds


class _Trap:
    """What a malicious pickle does when it is read."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path(os.environ["VEILCAST_TRAP"]),))


def test_nothing_of_a_checkpoint_is_unpickled(
    run: Run, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "sprung"
    monkeypatch.setenv("VEILCAST_TRAP", str(trap))
    evil = pickle.dumps(_Trap())
    model = Tracker(home).files(run(0).run_id) / "model"
    for name in (checkpoint.WEIGHTS, checkpoint.CONFIG):
        (model / name).write_bytes(evil)
        with pytest.raises(ModelError):
            checkpoint.load(model)
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../outside", "x")  # a name that would leave the folder
        file.writestr("archive/data.pkl", evil)  # torch's own format
        file.writestr(checkpoint.WEIGHTS, evil)
        file.writestr(checkpoint.CONFIG, evil)
    with pytest.raises(ModelError):
        checkpoint.unpacked(archive.read_bytes())
    assert not trap.exists()
    assert not (tmp_path.parent / "outside").exists()
    pickle.loads(evil)  # the trap does work
    assert trap.exists()


def test_no_source_file_imports_what_unpickles() -> None:
    unsafe = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
    for package in ("data", "dp", "models", "flows"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    assert not unsafe & {name.name.split(".")[0] for name in node.names}, path
                elif isinstance(node, ast.ImportFrom):
                    assert (node.module or "").split(".")[0] not in unsafe, path
                elif isinstance(node, ast.Call):
                    called = ast.unparse(node.func)
                    assert called not in ("torch.load", "eval", "exec", "pd.read_pickle"), path
                    assert "allow_pickle" not in {word.arg for word in node.keywords}, path


@pytest.mark.slow
def test_kills_of_the_whole_pipeline() -> None:
    """A few of the kills of `benchmarks/kills.py`; it counts breaches itself."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "kills.py"), "--kills", "4"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"breaches": []' in done.stdout
