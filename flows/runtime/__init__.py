"""Runtime: progress, notifications, the Prefect engine, cached results and templates."""
