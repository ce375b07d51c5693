"""Runs whose process died without a word: found by their missing heartbeats, and ended."""

from __future__ import annotations

from datetime import timedelta

import httpx

NAME = "veilcast: end runs whose process died"
BEAT_SECONDS = 30
"""Workers set PREFECT_FLOWS_HEARTBEAT_FREQUENCY to this."""
_ENDS = ("Completed", "Failed", "Cancelled", "Crashed")


def watch(client: httpx.Client) -> None:
    """Have the server crash runs that stopped beating: each would hold its data set for ever.

    Made once, found again by its name. The change of state is not forced: the last heartbeat of a run
    may come after its end, and what has ended stays as it is.

    Args:
        client: of the Prefect server's API.
    """
    chosen = {"automations": {"name": {"any_": [NAME]}}}
    if client.post("/automations/filter", json=chosen).raise_for_status().json():
        return
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    automation = AutomationCore(
        name=NAME,
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat"} | {f"prefect.flow-run.{one}" for one in _ENDS},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=4 * BEAT_SECONDS),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                name="Crashed",
                message="no heartbeat: its process has died",
                force=False,
            )
        ],
    )
    client.post("/automations/", json=automation.model_dump(mode="json")).raise_for_status()
