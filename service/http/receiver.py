"""The public listener: the vendor's callbacks, and whether we are up. Nothing else.

The vendor gives a callback up for good on any 4xx and tries ten times in about 100 s on anything else that is no 2xx
(vendor API reference: delivery rules). So a 4xx is only ever about the request, a 2xx follows the durable write, and
whatever is wrong on our side is a 503.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from service.domain import callbacks, happened
from service.domain.callbacks import Malformed, Notice
from service.domain.tally import CALLBACKS, LAST_CALLBACK, Tally
from service.domain.tokens import HEADER, genuine
from service.engine.errors import EngineError
from service.engine.row import Callback, Heard, RowId
from service.http.bodies import Body, Gone, TooLarge, TooSlow
from service.http.readiness import Readiness
from service.http.receiver_table import ANSWERS, MISPLACED, OUR_TROUBLE, Limits, Result
from service.telemetry import Sparing

_TOKEN_HEADER: Final = HEADER.lower().encode()


class Callbacks:
    """`POST {prefix}{job_id}` as a raw ASGI endpoint."""

    def __init__(
        self,
        *,
        call_back: Callable[[Callback], Awaitable[Heard]],
        secrets: Sequence[str],
        tally: Tally,
        woken: Callable[[RowId], None],
        stopping: Callable[[], bool],
        now: Callable[[], float],
        limits: Limits,
    ) -> None:
        self._call_back = call_back
        self._secrets = tuple(secrets)
        self._tally = tally
        self._woken = woken
        self._stopping = stopping
        self._now = now
        self._limits = limits
        self._reading = 0
        self._storing: set[asyncio.Task[Result]] = set()
        self._sparing = {result: Sparing(time.monotonic) for result in Result}
        # Bound here rather than for each line: the log is set up before any listener is made.
        self._log = structlog.get_logger().bind()
        for result in Result:
            tally.count(CALLBACKS, 0, result=result)

    async def serve(self, job_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request by the table."""
        body = Body(scope, receive)
        try:
            result = await self._judge(job_id, scope, body)
        except Exception as error:  # noqa: BLE001  # anything unforeseen is ours; only a 503 brings the callback again
            self._unstored(job_id, error)
            result = Result.UNSTORED
        self._tally.count(CALLBACKS, result=result)
        if not result.stored and result is not Result.UNSTORED:
            self._refused(job_id, result)
        if result is Result.GONE:
            return
        if not body.ended and result is not Result.SLOW:
            await body.discard(at_most=self._limits.discard_bytes, within=self._limits.discard_within)
        await self._answer(result, send, close=not body.ended)

    async def _judge(self, job_id: str, scope: Scope, body: Body) -> Result:
        if scope["method"] != "POST":
            return Result.WRONG_METHOD
        presented = [value for name, value in scope["headers"] if name == _TOKEN_HEADER]
        if len(presented) != 1 or not callbacks.possible(job_id) or not genuine(presented[0], job_id, self._secrets):
            return Result.FORGED
        if self._stopping():
            return Result.STOPPING
        if self._reading + len(self._storing) >= self._limits.in_flight:
            return Result.OVERLOADED
        notice = await self._understood(body)
        return notice if isinstance(notice, Result) else await self._stored(RowId(job_id), notice)

    async def _understood(self, body: Body) -> Notice | Result:
        self._reading += 1
        try:
            read = await body.read(at_most=self._limits.body_bytes, within=self._limits.body_within)
            return callbacks.understand(read)
        except TooLarge:
            return Result.OVERSIZED
        except TooSlow:
            return Result.SLOW
        except Gone:
            return Result.GONE
        except Malformed:
            return Result.MALFORMED
        finally:
            self._reading -= 1

    async def _stored(self, row_id: RowId, notice: Notice) -> Result:
        # Its own task: a write that hangs must neither hold the answer back nor be cancelled half-way. It keeps its
        # place among those in flight until it ends, and still wakes a worker if it succeeds after all.
        storing = asyncio.create_task(self._store(row_id, notice))
        self._storing.add(storing)
        storing.add_done_callback(self._storing.discard)
        done, _ = await asyncio.wait({storing}, timeout=self._limits.store_within)
        if not done:
            self._unstored(row_id, TimeoutError())
        return storing.result() if done else Result.UNSTORED

    async def _store(self, row_id: RowId, notice: Notice) -> Result:
        try:
            heard = await self._call_back(Callback(row_id=row_id, subject=notice.subject))
        except Exception as error:  # noqa: BLE001  # whatever broke, nothing is known to be stored
            self._unstored(row_id, error)
            return Result.UNSTORED
        self._tally.gauge(LAST_CALLBACK, self._now())
        result = Result(heard)
        event = happened.CALLBACK_MISPLACED if result in MISPLACED else happened.CALLBACK_RECEIVED
        log = self._log.info if notice.known and result not in MISPLACED else self._log.warning
        log(event, job_id=row_id, result=result.value, said=notice.word, transcript_id=notice.subject)
        if result is Result.COUNTED:
            self._wake(row_id)
        return result

    def _wake(self, row_id: RowId) -> None:
        try:
            self._woken(row_id)
        except Exception:  # noqa: BLE001  # it is stored; without the nudge it is merely found due a little later
            self._log.exception(happened.CALLBACK_RECEIVED, job_id=row_id)

    def _unstored(self, job_id: str, error: Exception) -> None:
        left_out = self._sparing[Result.UNSTORED].turn()
        if left_out is not None:
            # Our own errors are safe to be quoted; a foreign one is named by its type and place only.
            reason = str(error) if isinstance(error, EngineError) else type(error).__name__
            fields = {"job_id": job_id, "reason": reason, "left_out": left_out}
            self._log.error(happened.CALLBACK_UNSTORED, exc_info=error, **fields)

    def _refused(self, job_id: str, result: Result) -> None:
        left_out = self._sparing[result].turn()
        if left_out is not None:
            event = happened.CALLBACK_UNSTORED if result in OUR_TROUBLE else happened.CALLBACK_REFUSED
            named = job_id if callbacks.possible(job_id) else None
            self._log.warning(event, job_id=named, result=result, left_out=left_out)

    async def _answer(self, result: Result, send: Send, *, close: bool) -> None:
        status, text = ANSWERS[result]
        headers = [] if not text else [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text))]
        if result is Result.WRONG_METHOD:
            headers.append((b"allow", b"POST"))
        if close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})


def receiver(
    *,
    call_back: Callable[[Callback], Awaitable[Heard]],
    secrets: Sequence[str],
    public_url: str,
    ready: Readiness,
    tally: Tally,
    woken: Callable[[RowId], None],
    stopping: Callable[[], bool],
    now: Callable[[], float] = time.time,
    limits: Limits | None = None,
) -> ASGIApp:
    """The public listener's application.

    `call_back` is the table's; `woken` hears of every row that a callback was durably counted onto; `stopping` is True
    from the moment that no more work is taken. Without secrets no callback is genuine.
    """
    prefix = callbacks.prefix(public_url)
    endpoint = Callbacks(
        call_back=call_back,
        secrets=secrets,
        tally=tally,
        woken=woken,
        stopping=stopping,
        now=now,
        limits=limits or Limits(),
    )
    frame = _frame(ready, stopping)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        # Matched before any routing: this is the one path that must stay fast under a flood.
        if scope["type"] == "http" and scope["path"].startswith(prefix):
            await endpoint.serve(scope["path"][len(prefix) :], scope, receive, send)
        else:
            await frame(scope, receive, send)

    return application


def _frame(ready: Readiness, stopping: Callable[[], bool]) -> Starlette:
    async def healthz(_: Request) -> PlainTextResponse:
        return PlainTextResponse("up\n")

    async def readyz(_: Request) -> PlainTextResponse:
        if stopping():
            return PlainTextResponse("stopping\n", status_code=503)
        # Which engine fails is for the log and the private listener, not for strangers.
        failing = await ready.failing()
        return PlainTextResponse("not ready\n", status_code=503) if failing else PlainTextResponse("ready\n")

    frame = Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz)])
    frame.router.redirect_slashes = False
    return frame
