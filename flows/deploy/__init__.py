"""Deployments: what runs when, and runs whose process has died."""
