"""The work pool of a Prefect server, and the end of runs left behind by a stopped stack."""

from __future__ import annotations

import httpx

from flows.document import Document
from flows.settings import POOL

_LEFT = ["RUNNING", "PENDING", "CANCELLING"]


def open_pool(api: str) -> None:
    """Make the pool if it is missing, and end runs that no worker works on.

    Called when no worker of the stack runs: a run still marked as running died with its worker, and
    would hold the only place of its data set for ever.
    """
    with httpx.Client(base_url=api, timeout=30) as client:
        if client.get(f"/work_pools/{POOL}").status_code == 404:
            pool = {"name": POOL, "type": "process", "base_job_template": _template()}
            client.post("/work_pools/", json=pool).raise_for_status()
        chosen: Document = {"flow_runs": {"state": {"type": {"any_": _LEFT}}}}
        for run in client.post("/flow_runs/filter", json=chosen).raise_for_status().json():
            state = {"type": "CRASHED", "name": "Crashed", "message": "the stack was stopped"}
            client.post(f"/flow_runs/{run['id']}/set_state", json={"state": state, "force": True})


def _template() -> Document:
    from prefect.workers.process import ProcessWorker

    template: Document = ProcessWorker.get_default_base_job_template()
    return template
