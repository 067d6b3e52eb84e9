"""The jobs API of the private listener: list, show, submit, retry."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

import orjson
import structlog
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from service.domain import durations, happened
from service.domain.errors import Permanent, Problem, Refused, Transient
from service.domain.job import Status
from service.domain.views import view
from service.engine.errors import EngineError, IllegalStep, StoreTrouble
from service.engine.row import RowId
from service.http.bodies import Body, Gone, TooLarge, TooSlow
from service.ports.store import Jobs

BODY_AT_MOST: Final = 64 * 1024
BODY_WITHIN: Final = 5.0
READ_WITHIN: Final = 10.0
ACT_WITHIN: Final = 120.0
PAGE: Final = 100
PAGE_AT_MOST: Final = 500

Endpoint = Callable[[Request], Awaitable[Response]]


class Operations(Protocol):
    """What people may set going. Both raise Refused, Permanent, Transient, StoreTrouble."""

    async def submit(self, target: str, pipeline: str | None, metadata: Mapping[str, str]) -> Mapping[str, object]:
        """Make a job of the target, or say which one it is already: at least `job_id` and `new`."""
        ...

    async def retry(self, name: str) -> Mapping[str, object]:
        """Send a failed job on its next run: at least `job_id` and `run`. Raises KeyError for an unknown name."""
        ...


class JobsApi:
    """The endpoints; each answers JSON, errors as `{"error": sentence}`."""

    def __init__(self, jobs: Jobs, operations: Operations, now: Callable[[], float]) -> None:
        self._jobs = jobs
        self._operations = operations
        self._now = now

    async def page(self, request: Request) -> Response:
        """Jobs by creation, newest first."""
        query = request.query_params
        statuses, since, limit = _statuses(query), _since(query, self._now()), _limit(query)
        after = query.get("after")
        async with asyncio.timeout(READ_WITHIN):
            rows = await self._jobs.page(
                statuses=statuses, since=since, limit=limit, after=RowId(after) if after else None
            )
        following = rows[-1].id if len(rows) == limit else None
        return _json(200, {"jobs": [view(row) for row in rows], "next": following})

    async def show(self, request: Request) -> Response:
        """The newest job of that name, and the ids of older ones."""
        name = request.path_params["name"]
        async with asyncio.timeout(READ_WITHIN):
            rows = await self._jobs.find(name)
        if not rows:
            raise KeyError(name)
        return _json(200, view(rows[0]) | {"older": [row.id for row in rows[1:PAGE]]})

    async def submit(self, request: Request) -> Response:
        """201 for a new job, 200 for one that was known."""
        target, pipeline, metadata = _order(await _object(request))
        async with asyncio.timeout(ACT_WITHIN):
            done = await self._operations.submit(target, pipeline, metadata)
        return _json(201 if done.get("new") is True else 200, done)

    async def retry(self, request: Request) -> Response:
        """The job on its next run."""
        async with asyncio.timeout(ACT_WITHIN):
            return _json(200, await self._operations.retry(request.path_params["name"]))


def answering(endpoint: Endpoint) -> Endpoint:
    """The endpoint with every error told as a status and one sentence."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Exception as error:  # noqa: BLE001  # people get a sentence, never a traceback
            return _error(error)

    return answered


def _error(error: Exception) -> Response:
    match error:
        case Refused():
            problems = [{"place": one.place, "what": one.what, "cure": one.cure} for one in error.problems]
            return _json(422, {"error": str(error), "problems": problems})
        case Permanent():
            return _json(409, {"error": error.message, "code": error.code.value})
        case Transient():
            status, said = 503, f"{error.message}; try again"
        case KeyError():
            status, said = 404, "no job has that id, transcript id or recording URI"
        case IllegalStep():
            status, said = 409, "the job is not where that can be done; only an ended job can be sent on"
        case TimeoutError() | StoreTrouble():
            status, said = 503, "the job store did not answer; try again"
        case EngineError():
            status, said = 409, "somebody else is at that job; try again"
        case TooLarge():
            status, said = 413, f"the body is larger than {BODY_AT_MOST} bytes"
        case TooSlow() | Gone():
            status, said = 408, "the body did not arrive in time"
        case _:
            structlog.get_logger().error(happened.OPERATION_FAILED, exc_info=error)
            status, said = 500, "something unexpected went wrong; the log says where"
    return _json(status, {"error": said})


async def _object(request: Request) -> Mapping[str, object]:
    raw = await Body(request.scope, request.receive).read(at_most=BODY_AT_MOST, within=BODY_WITHIN)
    try:
        read = orjson.loads(raw)
    except orjson.JSONDecodeError:
        read = None
    if not isinstance(read, dict):
        raise _refused("the body", "it is no JSON object", 'send {"target": "…"}')
    return read


def _order(said: Mapping[str, object]) -> tuple[str, str | None, Mapping[str, str]]:
    unknown = sorted(said.keys() - {"target", "pipeline", "metadata"})
    if unknown:
        raise _refused("the body", "it has unknown fields", "use target, pipeline and metadata only")
    target, pipeline, metadata = said.get("target"), said.get("pipeline"), said.get("metadata") or {}
    if not isinstance(target, str) or not target:
        raise _refused("target", "it is missing", "name a path, an https:// URL or transcript:ID")
    if pipeline is not None and not isinstance(pipeline, str):
        raise _refused("pipeline", "it is no text", "name one of the pipelines, or leave it out")
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _refused("metadata", "it is no object of texts", 'send {"name": "value"}')
    return target, pipeline, metadata


def _statuses(query: QueryParams) -> list[str] | None:
    named = [name for value in query.getlist("status") for name in value.split(",") if name]
    if not set(named) <= {status.value for status in Status}:
        raise _refused("status", "there is no such status", f"use one of {', '.join(Status)}")
    return named or None


def _since(query: QueryParams, now: float) -> float | None:
    text = query.get("since")
    if not text:
        return None
    try:
        return now - durations.seconds(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _refused("since", "it is neither a duration nor a time", "say 2d, or 2026-01-31T08:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _limit(query: QueryParams) -> int:
    text = query.get("limit", str(PAGE))
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= PAGE_AT_MOST):  # noqa: PLR2004
        raise _refused("limit", "it is out of bounds", f"use 1 to {PAGE_AT_MOST}")
    return int(text)


def _refused(place: str, what: str, cure: str) -> Refused:
    return Refused([Problem(place=place, what=what, cure=cure)])


def _json(status: int, content: object) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")
