"""Heartbeats: runs whose process died are found by missing heartbeats, and ended."""

from __future__ import annotations

from datetime import timedelta

import httpx

NAME = "veilcast: end runs whose process died"
BEAT_SECONDS = 30
"""PREFECT_FLOWS_HEARTBEAT_FREQUENCY of workers."""
_ENDS = ("Completed", "Failed", "Cancelled", "Crashed")


def watch(client: httpx.Client) -> None:
    """Have the server mark runs without heartbeats as crashed; each would hold its data set for ever.

    The automation is created once and found again by its name. It does not force the change of state:
    the last heartbeat of a run may arrive after its end, and ended runs stay as they are.

    Args:
        client: client of the Prefect server's API.
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
            expect={"prefect.flow-run.heartbeat"} | {f"prefect.flow-run.{end}" for end in _ENDS},
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
