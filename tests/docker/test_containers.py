"""Containers as far as they can be checked without an engine: files, scripts, what the image holds."""

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from flows.stack import postgres
from flows.stack.places import ROLES, Places, open_places

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ENDS = {"tables"}


def test_the_five_and_what_prepares_them() -> None:
    assert set(SERVICES) == {"postgres", "mlflow", "prefect", "worker", "api"} | ENDS


@pytest.mark.parametrize("name", SERVICES)
def test_each_is_pinned_watched_and_closed(name: str) -> None:
    service = SERVICES[name]
    assert re.search(r":\d+\.\d+", service["image"])
    if name not in ENDS:
        assert service["healthcheck"]["test"]
        assert service["restart"] == "unless-stopped"
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), port
    for secret in service.get("secrets", []):
        assert COMPOSE["secrets"][secret]["file"] == f"./secrets/{secret}"
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert source in COMPOSE["volumes"] or (DOCKER / source).exists()
    for other, how in service.get("depends_on", {}).items():
        ends = how["condition"] == "service_completed_successfully"
        assert ends == (other in ENDS)
    if name != "postgres":
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        for secret in re.findall(r":@(\w+)@", str(service.get("environment", ""))):
            assert secret in service["secrets"], f"{name} may not read {secret}"
    written = re.search(r"postgresql\S*://\w+:(?!@)", str(service))
    assert written is None, "a password is written down"


def test_roles_and_databases_are_separate() -> None:
    used = {
        name: re.findall(r"://(\w+):@(\w+)@postgres/(\w+)", str(service.get("environment", "")))
        for name, service in SERVICES.items()
    }
    assert used["mlflow"] == [("mlflow", "mlflow", "mlflow")]
    assert used["prefect"] == [("prefect", "prefect", "prefect")]
    assert used["api"] == [("reader", "reader", "veilcast")]
    assert set(used["worker"]) == {
        ("veilcast", "veilcast", "veilcast"),
        ("counts", "counts", "counts"),
    }


def test_the_override_changes_the_worker_alone() -> None:
    more = yaml.safe_load((DOCKER / "compose.gpu.yaml").read_text())
    assert set(more["services"]) == {"worker"}
    (device,) = more["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


@pytest.mark.skipif(
    shutil.which("docker") is None
    or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    != 0,
    reason="docker compose is not installed",
)
@pytest.mark.parametrize("files", [["compose.yaml"], ["compose.yaml", "compose.gpu.yaml"]])
def test_compose_accepts_it(files: list[str]) -> None:
    named = [part for file in files for part in ("--file", str(DOCKER / file))]
    command = ["docker", "compose", *named, "config", "--quiet", "--no-interpolate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_image_is_slim_pinned_and_unprivileged() -> None:
    lines = (DOCKER / "Dockerfile").read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM")]
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base) for base in bases)
    last = lines[max(at for at, line in enumerate(lines) if line.startswith("FROM")) :]
    assert "USER veilcast" in last
    assert any(line.startswith("HEALTHCHECK") for line in last)
    assert not any(line.startswith("USER root") for line in last)


def test_prefect_yaml_is_what_deploy_writes() -> None:
    from flows.deploy import deployments
    from flows.recipe.load import compose

    wanted = deployments.deployments(compose("demo", {}, []), {})
    same = (ROOT / "prefect.yaml").read_text() == deployments.to_yaml(wanted)
    assert same, "write it anew: veilcast deploy demo --yaml > prefect.yaml"


def copied() -> list[str]:
    """What the Dockerfile copies from the repository into the build, in order."""
    found = re.findall(r"^COPY (?!--)(.+) \S+$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    return [name for line in found for name in line.split()]


def test_nothing_that_is_copied_is_ignored() -> None:
    kept = {
        line[1:].removesuffix("/**")
        for line in (ROOT / ".dockerignore").read_text().split()
        if line.startswith("!")
    }
    for name in copied():
        assert (ROOT / name).exists(), name
        assert name in kept, name


def with_secrets(folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DOCKER / "with-secrets", "sh", "-c", 'printf %s "$VEILCAST_DATABASE_URL"'],
        env={"PATH": os.environ["PATH"], "SECRETS": str(folder), "VEILCAST_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


def test_passwords_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "veilcast").write_text("pa-ss_word")
    done = with_secrets(tmp_path, "postgresql://veilcast:@veilcast@postgres/veilcast")
    assert done.stdout == "postgresql://veilcast:pa-ss_word@postgres/veilcast"
    own = "postgresql://me:mine@elsewhere/db"
    assert with_secrets(tmp_path, own).stdout == own
    missing = with_secrets(tmp_path, "postgresql://veilcast:@other@postgres/veilcast")
    assert missing.returncode == 1
    assert "VEILCAST_DATABASE_URL needs the secret" in missing.stderr


def test_secrets_are_made_once_and_closed(tmp_path: Path) -> None:
    script = tmp_path / "secrets.sh"
    shutil.copy(DOCKER / "secrets.sh", script)
    subprocess.run([script], check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert set(made) == {*COMPOSE["secrets"]}
    assert all(len(text) >= 30 and re.fullmatch(r"[\w-]+", text) for text in made.values())
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    subprocess.run([script], check=True)
    assert made == {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}


@pytest.fixture
def bare() -> Iterator[Places]:
    """A server with nothing in it, as the postgres image has it when it runs the script."""
    import tempfile

    if not shutil.which("initdb") and not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="veilcast-bare-") as folder:
        os.chmod(folder, 0o755)
        places = open_places(Path(folder))
        postgres.serve(places)
        try:
            yield places
        finally:
            postgres.stop(places, mode="immediate")


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
def test_the_database_script_separates_roles(bare: Places) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "SECRETS": str(bare.root / "secrets"),
        "POSTGRES_USER": "postgres",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(bare.ports["postgres"]),
        "PGPASSWORD": bare.secret("postgres"),
    }
    subprocess.run(["sh", DOCKER / "databases.sh"], env=environment, check=True)
    for role in ROLES[1:]:
        own = "veilcast" if role == "reader" else role
        with psycopg.connect(bare.database(role, own)) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (role,)
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(bare.database("mlflow", "veilcast"))
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(bare.database("reader", "counts"))


@pytest.mark.slow
def test_what_is_copied_installs_and_runs(tmp_path: Path) -> None:
    """The image's build in a clean environment; dependencies are those of this one."""
    source = tmp_path / "source"
    source.mkdir()
    for name in copied():
        place = ROOT / name
        (shutil.copytree if place.is_dir() else shutil.copy)(place, source / name)
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, source],
        check=True,
    )
    paths = [path for path in sys.path if path.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join(paths))
    environment = {"PATH": os.environ["PATH"], "VEILCAST_HOME": str(tmp_path / "var")}
    code = "import flows, data; print(flows.__file__, data.__file__)"
    options: dict[str, Any] = {
        "env": environment,
        "cwd": tmp_path,
        "check": True,
        "capture_output": True,
        "text": True,
    }
    assert subprocess.run([python, "-c", code], **options).stdout.count(str(site)) == 2
    said = subprocess.run([python, "-m", "flows", "deploy", "demo", "--yaml"], **options).stdout
    assert yaml.safe_load(said)["deployments"][1]["entrypoint"] == "flows.jobs.forecast"
    tables = "from data.store import open_store; open_store('sqlite:///store.db')"
    subprocess.run([python, "-c", tables], **options)
