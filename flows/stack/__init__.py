"""The stack as plain processes: PostgreSQL, MLflow, Prefect, a worker and the service."""
