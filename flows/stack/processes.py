"""Background processes: started once, found again by their pid files, stopped as a whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from flows.errors import SetupError
from flows.stack.places import MARK, Places


@dataclass(frozen=True)
class Service:
    """A process of the stack.

    Attributes:
        name: name of its pid file and its log.
        command: program and arguments; no secret, since everybody can list them.
        environment: beside that of the stack; may hold secrets.
        health: address that answers 200 once the service is up.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    health: str


def start(places: Places, service: Service) -> None:
    """Start a service in a session of its own, unless it runs."""
    if running(places, service.name):
        return
    environment = {**os.environ, **service.environment, MARK: str(places.root)}
    with open(_log(places, service.name), "ab") as log:
        process = subprocess.Popen(  # noqa: S603  (our own arguments)
            service.command,
            env=environment,
            cwd=places.root,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    note = {"pid": process.pid, "born": _born(process.pid)}
    _note(places, service.name).write_text(json.dumps(note))


def wait(places: Places, service: Service, seconds: float = 180) -> None:
    """Wait until a service is up.

    Raises:
        SetupError: it ended, or did not answer in time.
    """
    until = time.monotonic() + seconds
    while not healthy(service.health):
        log = _log(places, service.name)
        if not running(places, service.name):
            raise SetupError(f"{service.name} ended while it started; see {log}")
        if time.monotonic() > until:
            raise SetupError(f"{service.name} did not answer within {seconds:g} s; see {log}")
        time.sleep(0.3)


def healthy(address: str) -> bool:
    """Return whether an address answers 200."""
    try:
        return httpx.get(address, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def running(places: Places, name: str) -> bool:
    """Return whether the process of the pid file runs, and not another one with its number."""
    note = _read(places, name)
    if note is None:
        return False
    pid = int(note["pid"])
    with suppress(ChildProcessError):  # a child of ours that ended is no longer running
        os.waitpid(pid, os.WNOHANG)
    born = _born(pid)
    return born is not None and born == note["born"]


def stop(places: Places, name: str, seconds: float = 20) -> None:
    """Ask a service and its children to end, and kill them if they do not."""
    note = _read(places, name)
    if note is not None and running(places, name):
        pid = int(note["pid"])
        _signal(lambda: os.kill(pid, signal.SIGTERM))
        until = time.monotonic() + seconds
        while running(places, name) and time.monotonic() < until:
            time.sleep(0.1)
        _signal(lambda: os.killpg(pid, signal.SIGKILL))
    _note(places, name).unlink(missing_ok=True)


def sweep(places: Places) -> int:
    """Kill every other process that carries the stack's mark, and return how many there were."""
    mark = f"{MARK}={places.root}".encode()
    killed = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            marked = mark in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        pid = int(folder.name)
        if marked and pid != os.getpid():
            killed += 1
            _signal(lambda pid=pid: os.kill(pid, signal.SIGKILL))  # type: ignore[misc]
    return killed


def _born(pid: int) -> str | None:
    """Return when a process started, in the system's ticks; None if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _signal(send: Callable[[], None]) -> None:
    with suppress(ProcessLookupError):
        send()


def _read(places: Places, name: str) -> dict[str, str] | None:
    try:
        note: dict[str, str] = json.loads(_note(places, name).read_text())
    except (OSError, ValueError):
        return None
    return note


def _note(places: Places, name: str) -> Path:
    return places.root / f"{name}.pid"


def _log(places: Places, name: str) -> Path:
    return places.root / f"{name}.log"
