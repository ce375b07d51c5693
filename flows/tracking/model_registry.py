"""The registry of models: one version per promoted model, and an alias for the one in use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from flows.settings import Home
from flows.tracking.pyfunc_package import package

CHAMPION = "champion"
"""The alias of the version that forecasts come from."""


@dataclass(frozen=True)
class Version:
    """A model in the registry.

    Attributes:
        number: of the version.
        run_id: of the training.
    """

    number: str
    run_id: str


class Models:
    """Registered models of one home folder, or of the server that MLFLOW_TRACKING_URI names."""

    def __init__(self, home: Home) -> None:
        self._client = MlflowClient(tracking_uri=home.tracking_uri, registry_uri=home.tracking_uri)

    def champion(self, stream: str) -> Version | None:
        """The version in use; None if there is none."""
        try:
            version = self._client.get_model_version_by_alias(model_name(stream), CHAMPION)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return Version(str(version.version), str(version.run_id))

    def promote(self, stream: str, run_id: str, why: dict[str, str]) -> Version:
        """Register a run's model, as MLflow serves it, and point the alias to it.

        Args:
            stream: whose model it is.
            run_id: of the training.
            why: tags of the version: what it was measured against, and the proof of its noise.
        """
        name = model_name(stream)
        try:
            self._client.create_registered_model(
                name, description=f"Forecasts of {stream}; promoted by veilcast"
            )
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        made = self._client.create_model_version(
            name, source=self.packaged(run_id), run_id=run_id, tags=why
        )
        self._client.set_registered_model_alias(name, CHAMPION, made.version)
        return Version(str(made.version), run_id)

    def packaged(self, run_id: str) -> str:
        """Address of a run's model as MLflow serves it, made if it is not there."""
        known = [file.path for file in self._client.list_artifacts(run_id)]
        if "serving" not in known:
            files = Path(self._client.download_artifacts(run_id, "model"))
            with package(files) as folder:
                self._client.log_artifacts(run_id, str(folder), "serving")
        return f"{self._client.get_run(run_id).info.artifact_uri}/serving"


def model_name(stream: str) -> str:
    """A stream's name in the registry, which takes neither slashes nor colons."""
    return re.sub(r"[^\w.\- ]+", "-", stream).strip("-")
