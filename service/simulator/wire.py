"""Requests read with bounds, replies written, refusals in the vendor's words."""

import asyncio
import hmac
import socket
import struct
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Json = dict[str, Any]

MAX_JSON_BYTES: Final = 64 << 20
BAD_KEY: Final = "Authentication error, API token missing/invalid"
BAD_SCHEMA: Final = "Invalid endpoint schema, please refer to documentation for examples."
UNKNOWN_ID: Final = "Transcript lookup error, transcript id not found"
NEGATIVE_BALANCE: Final = "Your current account balance is negative. Please top up to continue using the API."
SERVER_ERROR: Final = "Server error, developers have been alerted."


class RefusedError(Exception):
    """A call that the vendor answers with an error; each API puts it in its own envelope."""

    def __init__(
        self, status: int, message: str, *, errors: list[str] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors
        self.headers = dict(headers or {})


class Reply(Response):
    """JSON, or text as it is. `entry` is the ledger's entry that learns whether this answer was seen."""

    def __init__(
        self,
        content: Json | str | bytes,
        status: int = 200,
        *,
        headers: Mapping[str, str] | None = None,
        media_type: str = "application/json",
        entry: Json | None = None,
    ) -> None:
        body = orjson.dumps(content) if isinstance(content, dict) else content
        super().__init__(body, status, dict(headers or {}), media_type)
        self.entry = entry


class Cut(Response):
    """No answer at all: the connection is reset, as by a network that fails."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del send
        transport: asyncio.Transport = scope["state"]["transport"]
        raw: socket.socket | None = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


async def read_body(request: Request, limit: int = MAX_JSON_BYTES) -> bytes:
    """Raises RefusedError once the body is longer than the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise RefusedError(413, "Request Entity Too Large")
    return bytes(body)


async def read_json(request: Request, refusal: str) -> Json:
    """Raises RefusedError with the given text unless the body is a JSON object."""
    try:
        body = orjson.loads(await read_body(request))
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, refusal, errors=[str(error)]) from error
    if not isinstance(body, dict):
        raise RefusedError(400, refusal, errors=["a JSON object is expected"])
    return body


def envelope(
    message: str, status: int, *, gateway: bool, middleware: bool = False, errors: list[str] | None = None
) -> Json:
    """The error body of each API; the Gateway's authentication has one of its own."""
    if middleware:
        return {"error": message, "status": "error", "request_id": str(uuid.uuid4())}
    if not gateway:
        return {"error": message}
    body: Json = {"request_id": str(uuid.uuid4()), "message": message, "code": status}
    return body | ({"metadata": {"errors": errors}} if errors else {})


def key_is_right(given: str, expected: str | None) -> bool:
    """Without an expected key, any will do."""
    if expected is None:
        return bool(given)
    return hmac.compare_digest(given.encode(), expected.encode())


def own_url(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def stamp(moment: datetime | None = None) -> str:
    """RFC 3339 in UTC, as the vendor writes it."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
