"""The stack's own PostgreSQL server, from the system's programs, on the loopback only."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from flows.document import Document
from flows.errors import SetupError
from flows.runtime.local import write_private
from flows.stack.places import ROLES, Places

_SERVED = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "80",
    "shared_buffers": "32MB",
}
_OWN = ("veilcast", "counts", "mlflow", "prefect")
"""Roles with a database of their own, to which no other role may connect."""


def start(places: Places) -> None:
    """Start the server, created first if needed, with a database and a role for each use.

    Raises:
        SetupError: PostgreSQL is not installed or does not start.
    """
    serve(places)
    _roles(places)


def serve(places: Places) -> None:
    """Start the server as it is, created first if needed."""
    data = _data(places)
    if not (data / "PG_VERSION").exists():
        _make(places, data)
    served = " ".join(f"-c {name}='{value}'" for name, value in _SERVED.items())
    log = data.parent / "log"
    _run(
        places,
        "pg_ctl",
        "-D",
        data,
        "-w",
        "-t",
        120,
        "-l",
        log,
        "-o",
        f"-p {places.ports['postgres']} {served}",
        "start",
    )


def stop(places: Places, mode: str = "fast") -> None:
    """Stop the server, if it runs."""
    if running(places):
        _run(places, "pg_ctl", "-D", _data(places), "-w", "-m", mode, "stop")


def running(places: Places) -> bool:
    """Return whether the server of this folder runs."""
    data = _data(places)
    if not (data / "postmaster.pid").exists():
        return False
    return _run(places, "pg_ctl", "-D", data, "status", check=False).returncode == 0


def _data(places: Places) -> Path:
    return places.root / "postgres" / "data"


def _make(places: Places, data: Path) -> None:
    folder = data.parent
    folder.mkdir(parents=True, exist_ok=True)
    user = _other_user()
    with tempfile.TemporaryDirectory() as scratch:
        password = Path(scratch) / "password"
        write_private(password, places.secret("postgres"))
        if user is not None:
            for path in (folder, Path(scratch), password):
                os.chown(path, user.pw_uid, user.pw_gid)
        _run(
            places,
            "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--no-locale",
            f"--pwfile={password}",
        )


def _roles(places: Places) -> None:
    """Create missing roles and databases, and set the passwords."""
    import psycopg
    from psycopg import sql

    admin = places.database("postgres")
    with psycopg.connect(admin, autocommit=True) as connection:
        roles = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        for role in ROLES[1:]:
            verb = "ALTER" if role in roles else "CREATE"
            connection.execute(
                sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                    sql.SQL(verb), sql.Identifier(role), sql.Literal(places.secret(role))
                )
            )
        databases = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        for role in _OWN:
            name = sql.Identifier(role)
            if role not in databases:
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
        connection.execute("GRANT CONNECT ON DATABASE veilcast TO reader")


def _run(
    places: Places, program: str, *arguments: object, check: bool = True
) -> subprocess.CompletedProcess[str]:
    options: Document = {}
    user = _other_user()
    if user is not None:  # the server refuses to run as root
        options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    # pg_ctl hands its streams on to the server: pipes would never end
    with tempfile.TemporaryFile("w+") as output:
        try:
            done = subprocess.run(  # noqa: S603  (our own arguments)
                [_program(program), *map(str, arguments)],
                check=False,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                **options,
            )
        except PermissionError:
            raise SetupError(f"{places.root} cannot be entered by {_name(user)}") from None
        if check and done.returncode:
            output.seek(0)
            lines = output.read().strip().splitlines() or ["no reason given"]
            hint = ""
            if user is not None and not _reaches(user, places.root):
                hint = f" (PostgreSQL runs as {_name(user)}, who cannot enter {places.root})"
            raise SetupError(
                f"PostgreSQL's {program} failed: {lines[-1]}{hint}; see {places.root}/postgres/log"
            )
    return done


def _program(name: str) -> str:
    """Find a program, on the path or where Debian keeps it.

    Raises:
        SetupError: it is not installed.
    """
    if program := shutil.which(name):
        return program
    newest = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), key=_version, reverse=True)
    if not newest:
        raise SetupError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return newest[0]


def _version(path: str) -> float:
    try:
        return float(Path(path).parts[-3])
    except ValueError:
        return 0.0


def _other_user() -> pwd.struct_passwd | None:
    """Return the user that runs the server if we are root; None otherwise."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise SetupError("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _name(user: pwd.struct_passwd | None) -> str:
    return user.pw_name if user else "this user"


def _reaches(user: pwd.struct_passwd, path: Path) -> bool:
    """Return whether other users may pass every folder on the way."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))
