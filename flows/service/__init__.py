"""The service: latest forecasts and statements over HTTP, and nothing else."""
