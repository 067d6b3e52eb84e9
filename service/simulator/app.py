"""The stand-in's application: one visible table of routes, and a lifespan that owns what it opens."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.simulator import control, gateway, transcription
from service.simulator.account import GATEWAY_CALLS, Account, open_account
from service.simulator.options import Options
from service.simulator.wire import BAD_KEY, RefusedError, Reply, envelope, key_is_right

Endpoint = Callable[[Request, Account], Awaitable[Response]]
Doorkeeper = Callable[[Request, Options], Reply | None]
NO_GATEWAY: Final = (
    "Your account does not have access to LLM Gateway. Please upgrade or contact us at support@assemblyai.com for more "
    "information."
)


def create_app(options: Options) -> Starlette:
    """An ASGI application; its state lives and ends with its lifespan. `serve` runs it with connections it can cut."""
    return Starlette(routes=routes(), lifespan=partial(_lifespan, options))


@asynccontextmanager
async def _lifespan(options: Options, app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
    del app
    limits = httpx2.Limits(max_connections=options.webhook_connections + 10)
    timeout = max(options.webhook_timeout_seconds, options.download_seconds)
    async with (
        httpx2.AsyncClient(limits=limits, timeout=timeout, trust_env=False, follow_redirects=False) as client,
        open_account(options, client, time.monotonic) as account,
    ):
        yield {"account": account}


def routes() -> list[Route]:
    v2, v1, own = partial(_route, _transcription_door), partial(_route, _gateway_door), partial(_route, _open_door)
    transcript = "/v2/transcript/{transcript_id}"
    return [
        v2("upload", "POST", "/v2/upload", transcription.upload),
        v2("submit", "POST", "/v2/transcript", transcription.submit),
        v2("list", "GET", "/v2/transcript", transcription.list_transcripts),
        v2("read", "GET", transcript, transcription.read),
        v2("delete", "DELETE", transcript, transcription.delete),
        v2("captions", "GET", transcript + "/redacted-audio", transcription.redacted_audio),
        v2("captions", "GET", transcript + "/{part}", transcription.part),
        v1("ask", "POST", "/v1/chat/completions", gateway.create_completion),
        v1("understanding", "POST", "/v1/understanding", gateway.create_understanding),
        v1("understanding", "POST", "/v1/understanding/validate", gateway.validate_understanding),
        own("models", "GET", "/v1/models", gateway.list_models),
        own("file", "GET", "/upload/{path:path}", transcription.upload_file),
        own("file", "GET", "/redacted-audio/{name}", transcription.redacted_audio_file),
        own("simulator", "GET", "/simulator/faults", control.show_faults),
        own("simulator", "POST", "/simulator/faults", control.add_faults),
        own("simulator", "DELETE", "/simulator/faults", control.clear_faults),
        own("simulator", "DELETE", "/simulator/faults/{rule:int}", control.clear_faults),
        own("simulator", "GET", "/simulator/ledger", control.show_ledger),
        own("simulator", "POST", "/simulator/reset", control.reset),
        own("simulator", "GET", "/simulator/health", control.health),
        own("simulator", "GET", "/healthz", control.health),
        own("simulator", "GET", "/", control.index),
        Route("/{path:path}", partial(_serve, _open_door, "unknown", control.unknown)),
    ]


def _route(door: Doorkeeper, on: str, method: str, path: str, endpoint: Endpoint) -> Route:
    return Route(path, partial(_serve, door, on, endpoint), methods=[method])


async def _serve(door: Doorkeeper, on: str, endpoint: Endpoint, request: Request) -> Response:
    account: Account = request.state.account
    account.ledger.called(on)
    refused = door(request, account.options)
    if refused is not None:
        account.ledger.refused(on, refused.status_code, "rule", BAD_KEY)
        return refused
    try:
        return await endpoint(request, account)
    except RefusedError as error:
        if on != "simulator":
            account.ledger.refused(on, error.status, "rule", error.message)
        body = envelope(error.message, error.status, gateway=on in GATEWAY_CALLS, errors=error.errors)
        return Reply(body, error.status, headers=error.headers)


def _transcription_door(request: Request, options: Options) -> Reply | None:
    """The raw key and nothing else."""
    if key_is_right(request.headers.get("authorization", ""), options.api_key):
        return None
    return Reply(envelope(BAD_KEY, 401, gateway=False), 401)


def _gateway_door(request: Request, options: Options) -> Reply | None:
    """The raw key or `Bearer`; its refusals have the middleware's envelope."""
    given = request.headers.get("authorization", "")
    if key_is_right(given.removeprefix("Bearer "), options.api_key):
        return None
    return Reply(envelope(BAD_KEY if given else NO_GATEWAY, 401, gateway=True, middleware=True), 401)


def _open_door(request: Request, options: Options) -> Reply | None:
    del request, options
    return None
