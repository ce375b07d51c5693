"""Prefect's temporary server, started in the background.

A run without a server starts a temporary one, which takes 7 to 20 seconds, most of them in another
process. Started before torch and the source are loaded, it costs hardly any waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from flows.document import Document
from flows.errors import SetupError


def start_engine() -> Callable[[], None]:
    """Begin to start the temporary server, unless a server is set; return a function that waits for it.

    The returned function raises a SetupError if the server did not start.
    """
    import prefect  # noqa: F401  (imported whole before two threads import its parts)

    failures: list[Exception] = []
    starter = threading.Thread(target=_start, args=(failures,), daemon=True)
    starter.start()

    def wait() -> None:
        starter.join()
        if failures:
            raise SetupError(
                f"Prefect's temporary server did not start ({type(failures[0]).__name__}); start one "
                "with `prefect server start` and set PREFECT_API_URL"
            )

    return wait


def start_engine_for(values: Document) -> Callable[[], None]:
    """Begin to start it for a recipe, whose source is checked first.

    Args:
        values: of the recipe, as `flows.recipe.load` returns them.

    Raises:
        DataError: the source is unknown, or its file is not there.
    """
    source = values["source"]
    if not source.get("events") and not source.get("query"):
        from data import sources

        sources.check(source["name"])
    return start_engine()


def _start(failures: list[Exception]) -> None:
    from prefect.settings import PREFECT_API_URL

    if PREFECT_API_URL.value():
        return
    from prefect.server.api.server import SubprocessASGIServer

    try:
        SubprocessASGIServer().start()  # the same object that Prefect's client asks for later
    except Exception as error:
        failures.append(error)
