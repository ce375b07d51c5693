import subprocess
from importlib.metadata import version
from pathlib import Path

from dp.statement.code_version import _commit, code_version


def test_versions_are_those_that_are_installed() -> None:
    said = code_version(("opendp", "no-such-distribution"))
    assert said["veilcast"] == version("veilcast")
    assert said["libraries"] == {"opendp": version("opendp"), "no-such-distribution": None}


def test_a_clone_has_a_commit_and_another_folder_has_none(tmp_path: Path) -> None:
    assert _commit(tmp_path) == (None, None)

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c", *words],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "code.py").write_text("1\n")
    git("add", "code.py")
    git("commit", "-qm", "Start")
    _commit.cache_clear()
    assert _commit(tmp_path) == (git("rev-parse", "HEAD"), False)
    (tmp_path / "code.py").write_text("2\n")
    _commit.cache_clear()
    assert _commit(tmp_path) == (git("rev-parse", "HEAD"), True)


def test_a_folder_that_git_cannot_read_has_no_commit(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    _commit.cache_clear()
    assert _commit(tmp_path) == (None, None)
