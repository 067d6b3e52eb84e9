"""The private listener: metrics, the jobs API and a console for the people on call."""

import base64
import hashlib
import re
from collections.abc import Callable
from importlib import resources

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from service.ops.guard import Guard
from service.ops.jobs_api import JobsApi, Operations, answering
from service.ops.metrics import MEDIA_TYPE, Scrapes
from service.ops.openapi import OPENAPI
from service.ports.store import Jobs


def ops(
    *, jobs: Jobs, operations: Operations, scrapes: Scrapes, token: str | None, now: Callable[[], float]
) -> ASGIApp:
    """The private listener's application. Without a `token` it answers only to loopback's own names."""
    page = resources.files("service.ops").joinpath("console.html").read_text(encoding="utf-8")
    app = Starlette(routes=_routes(JobsApi(jobs, operations, now), scrapes, page))
    app.router.redirect_slashes = False
    headers = {
        "content-security-policy": content_policy(page),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    return Guard(app, token, headers)


def content_policy(page: str) -> str:
    """Nothing but the page's own script and style, by their digests, and requests to where it came from."""
    script, style = (_digests(page, tag) for tag in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _routes(api: JobsApi, scrapes: Scrapes, page: str) -> list[Route]:
    async def console(_: Request) -> Response:
        return HTMLResponse(page)

    async def metrics(_: Request) -> Response:
        return Response(await scrapes.page(), headers={"content-type": MEDIA_TYPE})

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("up\n")

    async def openapi(_: Request) -> Response:
        return JSONResponse(OPENAPI)

    # A recording's URI holds slashes: a name is the rest of the path.
    return [
        Route("/", console),
        Route("/healthz", healthz),
        Route("/metrics", metrics),
        Route("/api/openapi.json", openapi),
        Route("/api/jobs", answering(api.page), methods=["GET"]),
        Route("/api/jobs", answering(api.submit), methods=["POST"]),
        Route("/api/jobs/{name:path}/retry", answering(api.retry), methods=["POST"]),
        Route("/api/jobs/{name:path}", answering(api.show), methods=["GET"]),
    ]


def _digests(page: str, tag: str) -> str:
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in found)
