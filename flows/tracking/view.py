"""The view of our experiments in MLflow's own pages: promise and error side by side."""

from __future__ import annotations

import json

MARK = "veilcast"
"""Tag of our experiments: one a data set."""

# MLflow's list of runs hides parameters and metrics at first; a shared view of the experiment shows
# the promise and the error side by side.
VIEW = "promise"
_COLUMNS = (
    "params.`mechanism`",
    "params.`unit`",
    "params.`epsilon`",
    "params.`delta`",
    "params.`sigma`",
    "metrics.`rmse`",
    "metrics.`persistence_rmse`",
)
TAGS = {
    MARK: "true",
    "mlflow.experimentKind": "custom_model_development",
    f"mlflow.sharedViewState.{VIEW}": json.dumps(
        {
            "searchFilter": "",
            "orderByKey": "attributes.start_time",
            "orderByAsc": False,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            "selectedColumns": _COLUMNS,
            "runsExpanded": {},
            "runsPinned": [],
            "runsHidden": [],
            "runsVisibilityMap": {},
            "groupsExpanded": {},
        }
    ),
}
