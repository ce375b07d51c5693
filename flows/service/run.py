"""The service as a process."""

from __future__ import annotations

import sys

from data.store import open_store
from flows.errors import SetupError
from flows.runtime.local import in_use
from flows.service.guard import token
from flows.settings import Home


def run(home: Home, host: str, port: int) -> int:
    """Serve until interrupted, and return the exit code.

    Raises:
        SetupError: the port is taken, or there is no token.
        DataError: the store cannot be used.
    """
    import uvicorn

    from flows.service.app import make_app

    if in_use(port, host):
        raise SetupError(
            f"port {port} of {host} is in use by another program; choose another --port"
        )
    secret, path = token(home)
    app = make_app(open_store(home.database_url), secret)
    sys.stderr.write(
        f"Forecasts until Ctrl-C: http://{host}:{port}/docs, with the token in {path}\n"
    )
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=200,
        timeout_keep_alive=5,
        h11_max_incomplete_event_size=16_384,
    )
    return 0
