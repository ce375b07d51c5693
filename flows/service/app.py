"""The service: its addresses, and the answers at each."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Path, Query
from fastapi.responses import HTMLResponse, JSONResponse, Response

from data.errors import DataError
from data.store import Database
from flows.service.answers import Forecasts, Health, Problem, Statement, Streams
from flows.service.guard import RequestLimits, check_token
from flows.service.latest import Latest

_log = logging.getLogger("veilcast.service")

StreamName = Annotated[str, Query(min_length=1, max_length=400, description="name of the stream")]
Region = Annotated[str | None, Query(max_length=200, description="of one region only")]
RunId = Annotated[
    str, Path(pattern=r"^[0-9a-f]{32}$", description="id of the run, 32 hexadecimal digits")
]
_REFUSED = {
    401: {"model": Problem, "description": "no token, or a wrong one"},
    404: {"model": Problem, "description": "there is no such thing"},
    503: {"model": Problem, "description": "the store cannot be read"},
}


def make_app(store: Database, token: str) -> FastAPI:
    """Return the service as an application.

    Args:
        store: where forecasts and runs are; nothing else of it is read.
        token: token that a request must bring.
    """
    app = FastAPI(
        title="veilcast",
        version="1",
        summary="Latest forecasts of how many people will be where, with what they promise.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.token = token
    app.add_middleware(RequestLimits)
    latest = Latest(store)

    @app.exception_handler(DataError)
    def _unreadable(_request: object, error: DataError) -> JSONResponse:
        _log.error("%s", error)
        return JSONResponse({"detail": "the store cannot be read; see the service's log"}, 503)

    @app.get("/health", tags=["service"], responses={503: {"model": Health}})
    async def health() -> Health:
        """Whether the service can answer; needs no token."""
        try:
            await latest.streams()
        except DataError:
            return JSONResponse(Health(status="no store", store=False).model_dump(), 503)  # type: ignore[return-value]
        return Health(status="ok", store=True)

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        from flows.service.docs import page

        return HTMLResponse(page(app.openapi()))

    guarded = {"dependencies": [Depends(check_token)], "responses": _REFUSED}

    @app.get("/v1/streams", tags=["forecasts"], response_model=Streams, **guarded)  # type: ignore[arg-type]
    async def streams() -> Response:
        """Streams that have forecasts."""
        return _json(await latest.streams())

    @app.get("/v1/forecasts", tags=["forecasts"], response_model=Forecasts, **guarded)  # type: ignore[arg-type]
    async def forecasts(stream: StreamName, region: Region = None) -> Response:
        """The latest forecasts of a stream, with prediction intervals and what they promise."""
        try:
            answer = await latest.forecasts(stream, region)
        except LookupError:
            raise HTTPException(404, "that stream has no such region") from None
        if answer is None:
            raise HTTPException(
                404, "no forecasts of that stream; /v1/streams lists those there are"
            )
        return _json(answer)

    @app.get("/v1/statements/{run}", tags=["privacy"], response_model=Statement, **guarded)  # type: ignore[arg-type]
    async def statement(run: RunId) -> Response:
        """Statement of a run: what it promises, to whom, under which assumptions."""
        answer = await latest.statement(run)
        if answer is None:
            raise HTTPException(404, "no run of that id")
        return _json(answer)

    return app


def _json(content: bytes) -> Response:
    """Wrap an answer that is JSON already: written once, sent to all who ask within a second."""
    return Response(content, media_type="application/json")
