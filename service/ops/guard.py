"""Who may use the private listener.

With a token: who bears it. Without one the listener is bound to loopback, and then the web pages that a person has
open in the same browser are the strangers: they may reach loopback by a name of their own, or post to it blindly.
"""

import hmac
import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN: Final = frozenset({"/", "/healthz", "/metrics", "/api/openapi.json"})
"""What needs no token: nothing here tells of any one recording."""

SAFE: Final = frozenset({"GET", "HEAD"})


class Guard:
    """Lets requests through to `app`, or answers 401 or 403; adds `headers` to every response."""

    def __init__(self, app: ASGIApp, token: str | None, headers: Mapping[str, str]) -> None:
        self._app = app
        self._token = token
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if self._token is None and not loopback(host):
            return _refused(403, "without AFTERWORD_OPS_TOKEN only localhost is answered; name it as 127.0.0.1")
        if scope["method"] not in SAFE and not _same_origin(headers, host):
            return _refused(403, "another site's page may not do this; use the console or leave the Origin header out")
        if self._token is not None and scope["path"] not in OPEN and not _bears(headers, self._token):
            refusal = _refused(
                401, "the token is missing or wrong; send Authorization: Bearer with AFTERWORD_OPS_TOKEN"
            )
            refusal.headers["www-authenticate"] = "Bearer"
            return refusal
        return None


def loopback(host: str) -> bool:
    """Whether a Host header, port or not, names this machine alone: not just a name that leads to it."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _same_origin(headers: Mapping[bytes, bytes], host: str) -> bool:
    origin = headers.get(b"origin")
    site = headers.get(b"sec-fetch-site", b"none")
    return site in {b"none", b"same-origin"} and (origin is None or urlsplit(origin.decode("latin-1")).netloc == host)


def _bears(headers: Mapping[bytes, bytes], token: str) -> bool:
    scheme, _, presented = headers.get(b"authorization", b"").partition(b" ")
    return hmac.compare_digest(presented.strip(), token.encode()) and scheme.lower() == b"bearer"


def _refused(status: int, error: str) -> JSONResponse:
    return JSONResponse({"error": error}, status_code=status)
