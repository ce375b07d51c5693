"""Deployments: schedules of flows, and the end of runs whose process died."""
