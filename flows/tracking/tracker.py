"""Runs in MLflow: written here, listed here, found again here. No raw count ever comes here."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from data.sources.credentials import shown
from flows.document import Document
from flows.errors import SetupError, UsageError
from flows.settings import Home
from flows.tracking.summary import summary
from flows.tracking.view import MARK, TAGS, VIEW

_PARENT, _SWEEP = "mlflow.parentRunId", "sweep"
"""Tags: of a run that belongs to a sweep, and of the sweep's own, which is no training."""
_PAGE = 5000

_FIRST = "veilcast"
"""The one experiment of earlier versions."""


@dataclass(frozen=True)
class Record:
    """The values that are logged about a run; those that are None are left out.

    Attributes:
        title: the run's name.
        parameters: settings, at most 25, for comparison in tables.
        metrics: final figures.
        tags: what runs are searched by.
    """

    title: str
    parameters: Document
    metrics: dict[str, float]
    tags: Document


class ActiveRun:
    """A run being written."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client = client
        self.run_id = run_id

    def log_epoch(self, epoch: int, figures: dict[str, float]) -> None:
        """Log the figures of an epoch while the training goes on."""
        now = int(time.time() * 1000)
        metrics = [Metric(_key(name), value, now, epoch) for name, value in figures.items()]
        self._client.log_batch(self.run_id, metrics=metrics)

    def log(self, record: Record, folder: Path) -> None:
        """Log everything else in one batch, and keep a folder of files."""
        now = int(time.time() * 1000)
        metrics = [Metric(_key(name), value, now, 0) for name, value in record.metrics.items()]
        self._client.log_batch(
            self.run_id,
            metrics=metrics,
            params=[Param(name, str(value)) for name, value in _set(record.parameters)],
            tags=[
                RunTag("mlflow.runName", record.title),
                *(RunTag(name, str(value)) for name, value in _set(record.tags)),
            ],
        )
        self._client.log_artifacts(self.run_id, str(folder))


class ActiveSweep(ActiveRun):
    """A run being written that others belong to.

    Attributes:
        children: ids of the runs that belong to it.
    """

    def __init__(self, client: MlflowClient, experiment: str, run_id: str) -> None:
        super().__init__(client, run_id)
        self._experiment = experiment
        self.children: list[str] = []

    @contextmanager
    def child(self, title: str) -> Iterator[ActiveRun]:
        """One run that belongs to it, finished when the block ends."""
        made = self._client.create_run(
            self._experiment, tags={_PARENT: self.run_id}, run_name=title
        ).info.run_id
        self.children.append(made)
        yield ActiveRun(self._client, made)
        self._client.set_terminated(made)


class Tracker:
    """The MLflow store of one home folder, or the server that MLFLOW_TRACKING_URI names."""

    def __init__(self, home: Home) -> None:
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # tracebacks
        self._home = home
        try:
            self._client = MlflowClient(tracking_uri=home.tracking_uri)
            self._experiments = self._find_experiments()
        except MlflowException as error:
            raise SetupError(
                f"MLflow at {shown(home.tracking_uri)} cannot be used ({error.error_code}); "
                "check MLFLOW_TRACKING_URI, or unset it to use a local file"
            ) from None

    @contextmanager
    def run(self, title: str, dataset: str) -> Iterator[ActiveRun]:
        """A run that ends as finished; if anything goes wrong it is removed from the list.

        Args:
            title: of the run.
            dataset: name of its experiment, without credentials.
        """
        with self._explained():
            made = self._client.create_run(
                self._experiment(dataset), run_name=title, start_time=self._after_the_latest()
            )
            run_id = made.info.run_id
            try:
                yield ActiveRun(self._client, run_id)
            except BaseException:
                with suppress(MlflowException):  # what went wrong first is what is told
                    self._client.set_terminated(run_id, "FAILED")
                    self._client.delete_run(run_id)
                raise
            self._client.set_terminated(run_id)

    def _after_the_latest(self) -> int:
        """Now, in ms, or just after the latest run if the clock was set back: runs keep their order."""
        now = int(time.time() * 1000)
        runs = self._client.search_runs(
            [one.experiment_id for one in self._experiments],
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
        return max(now, *(int(one.info.start_time) + 1 for one in runs)) if runs else now

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors of MLflow in words: their own text quotes statements with what was to be stored."""
        try:
            yield
        except MlflowException as error:
            raise SetupError(
                f"MLflow at {shown(self._home.tracking_uri)} could not record the run "
                f"({error.error_code}); make room on its disk, or check MLFLOW_TRACKING_URI. What was "
                "charged stays charged, and the same request returns the same release"
            ) from None

    @contextmanager
    def sweep(self, title: str, dataset: str) -> Iterator[ActiveSweep]:
        """A run that others belong to; if anything goes wrong all of them are removed."""
        with self.run(title, dataset) as parent:
            made = ActiveSweep(self._client, self._experiment(dataset), parent.run_id)
            self._client.set_tag(parent.run_id, _SWEEP, "true")
            try:
                yield made
            except BaseException:
                for child in made.children:
                    self._client.delete_run(child)
                raise

    def has(self, run_id: str) -> bool:
        """Whether a run is there and has not been deleted."""
        try:
            return str(self._client.get_run(run_id).info.lifecycle_stage) == "active"
        except MlflowException:
            return False

    def runs(self, sweep: str | None = None) -> list[Document]:
        """Finished runs of all data sets, latest first; of one sweep, if its run is given."""
        if not self._experiments:
            return []
        summaries: list[Document] = []
        token = None
        wanted = f" and tags.`{_PARENT}` = '{sweep}'" if sweep else ""
        while True:
            page = self._client.search_runs(
                [one.experiment_id for one in self._experiments],
                filter_string=f"attributes.status = 'FINISHED'{wanted}",
                max_results=_PAGE,
                order_by=["attributes.start_time DESC"],
                page_token=token,
            )
            summaries += [summary(run) for run in page if _SWEEP not in run.data.tags]
            token = page.token
            if not token:
                return summaries

    def settings(self, run_id: str) -> dict[str, str]:
        """Parameters of a run."""
        return dict(self._client.get_run(run_id).data.params)

    def find(self, run: str) -> Document:
        """The run whose id starts with `run`, or the latest one for `latest`.

        Raises:
            UsageError: there is none, or several.
        """
        runs = self.runs()
        if not runs:
            raise UsageError(
                "there are no runs yet; start with `veilcast train` or `veilcast demo`"
            )
        if run == "latest":
            return runs[0]
        matches = [one for one in runs if one["run_id"].startswith(run)]
        if len(matches) != 1:
            what = "no run" if not matches else f"{len(matches)} runs"
            raise UsageError(f"{what} with an id that starts with {run!r}; see `veilcast runs`")
        return matches[0]

    def files(self, run_id: str) -> Path:
        """The folder of a run's files (fetched, if they are on a server)."""
        return Path(self._client.download_artifacts(run_id, ""))

    @property
    def view(self) -> str:
        """Return the UI's path of the latest runs with their promise."""
        if not self._experiments:
            return ""
        last = max(self._experiments, key=lambda one: one.last_update_time or 0)
        return f"#/experiments/{last.experiment_id}/runs?viewStateShareKey={VIEW}"

    def _find_experiments(self) -> list[Experiment]:
        mine = self._client.search_experiments(filter_string=f"tags.{MARK} = 'true'")
        first = self._client.get_experiment_by_name(_FIRST)
        known = {one.experiment_id for one in mine}
        return [*mine, *([first] if first and first.experiment_id not in known else [])]

    def _experiment(self, dataset: str) -> str:
        """Id of a data set's experiment, made if there is none."""
        experiment = self._client.get_experiment_by_name(dataset)
        if experiment is None:
            local = self._home.tracking_uri.startswith("sqlite:")
            place = self._home.artifacts.as_uri() if local else None
            try:
                made = self._client.create_experiment(dataset, artifact_location=place, tags=TAGS)
            except MlflowException:  # made by another run meanwhile
                experiment = self._client.get_experiment_by_name(dataset)
                if experiment is None:
                    raise
                return str(experiment.experiment_id)
            experiment = self._client.get_experiment(made)
        self._experiments = self._find_experiments()
        return str(experiment.experiment_id)


def _set(values: Document) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in values.items() if value is not None]


def _key(name: str) -> str:
    """A name that MLflow accepts for a metric."""
    return re.sub(r"[^\w\-. /]", "_", name)
