"""Access control of the service: token, limits and headers."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.errors import SetupError
from flows.settings import Home

LONGEST_QUERY = 2048
LARGEST_BODY = 4096
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
)
_bearer = HTTPBearer(auto_error=False, description="the token of the service")


def token(home: Home) -> tuple[str, Path]:
    """Return the service's token and its file, created on first use and readable by its owner only.

    Raises:
        SetupError: the file that VEILCAST_API_TOKEN_FILE names cannot be read, or is too short.
    """
    given = os.environ.get("VEILCAST_API_TOKEN_FILE")
    path = Path(given) if given else home.root / "api-token"
    if not given and not path.exists():
        import secrets

        from flows.runtime.local import write_private

        write_private(path, secrets.token_urlsafe(24))
    try:
        value = path.read_text().strip()
    except OSError as error:
        raise SetupError(f"the token of the service, {path}: {error.strerror}") from None
    if len(value) < 16:
        raise SetupError(f"the token in {path} has {len(value)} characters; at least 16 are needed")
    return value, path


async def check_token(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Refuse a request without the token; the comparison takes constant time."""
    expected = hashlib.sha256(request.app.state.token.encode()).digest()
    actual = hashlib.sha256((given.credentials if given else "").encode()).digest()
    if not hmac.compare_digest(expected, actual) or given is None:
        raise HTTPException(
            401,
            "the token is wrong" if given else "a token is needed: Authorization: Bearer TOKEN",
            headers={"WWW-Authenticate": "Bearer"},
        )


class RequestLimits:
    """Middleware that refuses overlong requests before anything reads them, and adds headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        if refused := _too_much(scope):
            await _refuse(sent, *refused)
        else:
            await self._app(scope, receive, sent)


def _too_much(scope: Scope) -> tuple[int, str] | None:
    headers = dict(scope["headers"])
    if len(scope["query_string"]) > LONGEST_QUERY:
        return 414, f"the query is longer than {LONGEST_QUERY} bytes"
    if b"transfer-encoding" in headers:
        return 411, "a body needs a length"
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > LARGEST_BODY:
        return 413, f"the body is larger than {LARGEST_BODY} bytes"
    return None


async def _refuse(send: Send, status: int, detail: str) -> None:
    import json

    body = json.dumps({"detail": detail}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
