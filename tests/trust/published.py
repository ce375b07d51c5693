"""Everything that comes out of a home: what was said, every file, every cell of every table.

Two runs of one recipe on one file differ in ids, times and folders. These are masked here, in one
place (`MASKS`), and nothing else is: a new field is compared until it is listed.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

Published = dict[str, str]
"""What is compared, by where it stands."""

MASKS: tuple[tuple[str, str], ...] = (
    # ids of runs, and keyed fingerprints: see `fingerprints` for those without a key
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<uuid>"),
    (
        r"(?<![0-9A-Za-z.])(?=[0-9]*[a-f]|[0-9]{12}\b|[0-9]{16}\b)[0-9a-f]{12,64}(?![0-9A-Za-z])",
        "<hex>",
    ),
    # moments of the run; panels and events of these tests are from 2025 or before
    (r"\b20(2[6-9]|[3-9]\d)-[01]\d-[0-3]\d([T ][0-9:.]+(Z|\+00:00)?)?", "<now>"),
    (r"\b1[7-9]\d{11}\b", "<now>"),
    # folders of chance
    (r"/tmp/tmp\w{8}\b", "<folder>"),
    (r"\bfiles-\w{8}\b", "files-<folder>"),
)
"""Patterns and what stands in their place."""

_SHARED = ("prefect",)
"""Folders of other programs, which hold nothing of a run."""


_PICTURE = re.compile(r"base64,([A-Za-z0-9+/=]{200,})")


def masked(text: str, place: Path) -> str:
    """A text without what differs from run to run; pictures in it are told by their digests."""
    text = _PICTURE.sub(lambda found: f"picture: {_digest(found[1].encode())}", text)
    for folder in {str(place), str(place.resolve())}:
        text = text.replace(folder, "<place>")
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return text


def published(place: Path, said: dict[str, str]) -> Published:
    """All of it.

    Args:
        place: folder with the home; the file that was read is beside it and is no output.
        said: output of commands and answers of the service, by name.
    """
    found: dict[str, list[str]] = {f"said: {name}": [text] for name, text in said.items()}
    home = place / "var"
    for path in home.rglob("*"):
        name = path.relative_to(home)
        if path.is_dir() or name.parts[0] in _SHARED or path.name.endswith(("-wal", "-shm")):
            continue
        for where, content in _contents(path):
            found.setdefault(masked(f"file: {name}{where}", place), []).append(content)
    # names with ids in them are alike: what stands under them is compared in an order of its own
    return {
        key: "\n".join(sorted(masked(text, place) for text in texts))
        for key, texts in found.items()
    }


def differences(ours: Published, theirs: Published) -> list[str]:
    """Where two homes differ, with what stands there, short enough to read."""
    found = []
    for key in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(key), theirs.get(key)
        if one != other:
            found.append(f"{key}: {_where(one, other)}")
    return found


def fingerprints(published: Path) -> set[str]:
    """All long hexadecimal numbers under a home, names of files included."""
    found: set[str] = set()
    for path in published.rglob("*"):
        if path.is_file() and path.name != "secret":
            texts = [str(path.relative_to(published)), *(text for _, text in _contents(path))]
            for text in texts:
                found |= set(re.findall(r"(?<![0-9a-f])[0-9a-f]{16,64}(?![0-9a-f])", text))
    return found


def prefect_rows(since: set[str]) -> tuple[str, set[str]]:
    """Parameters and last states of flow runs that are not among `since`, and the ids of all.

    States on the way are written when the server finds the time.
    """
    url = str(PREFECT_API_DATABASE_CONNECTION_URL.value())
    with sqlite3.connect(
        f"file:{url.partition('///')[2].partition('?')[0]}?mode=ro", uri=True
    ) as base:
        runs = base.execute("SELECT id, parameters, tags FROM flow_run").fetchall()
        states = base.execute(
            "SELECT flow_run_id, type, message, data FROM flow_run_state "
            "WHERE type IN ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')"
        ).fetchall()
    new = {row[0] for row in runs} - since
    # how many states are written by now depends on the server; which ones there are does not
    rows = sorted({str(row[1:]) for row in [*runs, *states] if row[0] in new})
    return "\n".join(rows), since | new


def _where(one: str | None, other: str | None) -> str:
    if one is None or other is None:
        return f"only {'there' if one is None else 'here'}: {(one or other or '')[:200]!r}"
    at = next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
    start = max(0, at - 60)
    return f"{one[start : at + 100]!r} against {other[start : at + 100]!r}"


def _contents(path: Path) -> Iterator[tuple[str, str]]:
    """A file as text: a database table by table."""
    content = path.read_bytes()
    if content.startswith(b"SQLite format 3\0"):
        yield from _tables(path)
    else:
        yield "", _text(content)


def _tables(path: Path) -> Iterator[tuple[str, str]]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as base:
        names = [
            row[0]
            for row in base.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            )
        ]
        for table in names:
            rows = base.execute(f'SELECT * FROM "{table}"')
            columns = [one[0] for one in rows.description]
            for row in rows:
                cells = {name: _cell(cell) for name, cell in zip(columns, row, strict=True)}
                yield f"#{table}", json.dumps(cells, sort_keys=True, ensure_ascii=False)


def _cell(cell: Any) -> Any:
    return _text(cell) if isinstance(cell, bytes) else cell


def _text(content: bytes) -> str:
    """Text as it is, an archive by its members, anything else as a digest."""
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(
            io.BytesIO(content)
        ) as archive:  # which keeps the times of its members
            return "\n".join(f"{name}: {_text(archive.read(name))}" for name in archive.namelist())
    try:
        text = content.decode()
        if "\0" not in text:
            return text
    except UnicodeDecodeError:
        pass
    return _digest(content)


def _digest(content: bytes) -> str:
    """Not written as one hexadecimal number, which would be masked."""
    digest = hashlib.sha256(content).hexdigest()
    return f"{len(content)} bytes, digest {'.'.join(digest[at : at + 8] for at in range(0, 64, 8))}"
