"""`afterword serve`: receiver, intake, workers and sweeper in one process, from first socket to last hand-back."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import uvicorn
from starlette.types import ASGIApp

from service import __version__
from service.domain import happened
from service.domain.errors import Problem, Refused
from service.domain.pipeline import Pipelines
from service.domain.pipelines.whereabouts import NOWHERE, Whereabouts
from service.domain.tally import CALLBACKS_LOST
from service.engine.errors import StoreTrouble
from service.engine.row import RowId
from service.engine.workers import Workers
from service.http.listening import listening
from service.http.readiness import Check, Readiness
from service.http.receiver import receiver
from service.operations import Operations
from service.ops.app import ops
from service.ops.heartbeat import EVERY, Heartbeat
from service.ops.metrics import Metrics, Scrapes
from service.ops.model_watch import HEAR_EVERY, watch_over
from service.ports.places import Results
from service.ports.store import Store
from service.settings.load import Settings
from service.stages.asking.dispatch import Dispatch
from service.stages.context import Context
from service.stages.drop import Drop
from service.stages.limits import freeing
from service.stages.overview import Overview, overview
from service.stages.step import step
from service.wiring import Amazon, amazon, drops, intake, opened_store, refuse_missing, wired

BACKLOG: Final = 2048
LAST_ANSWERS: Final = 2
"""Seconds of the grace that are kept for the answers that the listeners still owe."""
PRUNE_EVERY: Final = 3600.0
PRUNE_AGAIN: Final = 0.2


class Listener(uvicorn.Server):
    """A server whose signals are the service's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the two listeners can be reached."""

    public: str
    ops: str


async def serve(
    settings: Settings,
    pipelines: Pipelines,
    started: Callable[[Addresses], None] = lambda _: None,
    *,
    whereabouts: Whereabouts = NOWHERE,
) -> None:
    """Run until SIGTERM or SIGINT, then stop cleanly within the grace time. `whereabouts` are those of the pipelines.

    Raises Refused when a listener or an engine cannot be had.
    """
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    try:
        async with running(settings, pipelines, whereabouts=whereabouts) as (addresses, failed):
            started(addresses)
            failed.add_done_callback(lambda _: asked_to_stop.set())
            await asked_to_stop.wait()
            structlog.get_logger().info(happened.SERVICE_STOPPING)
        if failed.done() and not failed.cancelled():
            failed.result()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    structlog.get_logger().info(happened.SERVICE_STOPPED)


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    pipelines: Pipelines,
    *,
    whereabouts: Whereabouts = NOWHERE,
    heartbeat_every: float = EVERY,
    catalogue_every: float = HEAR_EVERY,
) -> AsyncIterator[tuple[Addresses, "asyncio.Future[None]"]]:
    """The service at work for as long as the block lasts; the future ends early if a part of it breaks."""
    metrics = Metrics.create()
    with (
        amazon() as aws,
        _listening("AFTERWORD_PORT", settings.listener.host, settings.listener.port) as public,
        _listening("AFTERWORD_OPS_PORT", settings.ops.host, settings.ops.port) as private,
    ):
        await refuse_missing(settings, aws)
        async with _store(settings, aws) as store, wired(settings, pipelines, store, aws, metrics) as context:
            dispatch = Dispatch(context)
            workers = _workers(settings, context, dispatch)
            heart = Heartbeat(
                lambda: _seen(context),
                lambda: metrics.total(CALLBACKS_LOST),
                every=heartbeat_every,
            )
            watch = watch_over(context, whereabouts, catalogue_every)
            drop = intake(context, lambda job_id: workers.wake(RowId(job_id)))
            servers = [
                _server(_public(settings, context, store, workers), public),
                _server(_private(settings, context, drop, aws, metrics), private),
            ]
            tasks = [asyncio.ensure_future(server.serve(sockets=[sock])) for server, sock in servers]
            tasks.append(asyncio.ensure_future(workers.serve()))
            watching = asyncio.ensure_future(drops(settings, store, drop, aws, metrics).watch(drop.take))
            upkeep = (_upkeep(settings, store), freeing(context), heart.beat(), watch.watch(), dispatch.serve(workers))
            beside = [watching, *(asyncio.ensure_future(each) for each in upkeep)]
            failed = asyncio.ensure_future(_first_failure([*tasks, *beside]))
            addresses = Addresses(public=_url(public), ops=_url(private))
            structlog.get_logger().info(
                happened.SERVICE_STARTED, version=__version__, public=addresses.public, ops=addresses.ops
            )
            try:
                yield addresses, failed
            finally:
                failed.cancel()
                grace = settings.work.shutdown_grace
                # Side by side: a queue's long poll takes seconds to end, and the grace is the workers' to use.
                await asyncio.gather(_stopped(beside), workers.stop(max(grace - LAST_ANSWERS, grace / 2)))
                for server, _ in servers:
                    server.should_exit = True
                await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def _store(settings: Settings, aws: Amazon) -> AsyncIterator[Store]:
    try:
        async with opened_store(settings, aws) as store:
            yield store
    except StoreTrouble as trouble:
        cure = "make its folder, mend its permissions, or name another file"
        raise Refused([Problem(place="AFTERWORD_JOBS", what=str(trouble), cure=cure)]) from trouble


def _workers(settings: Settings, context: Context, dispatch: Dispatch) -> Workers:
    return Workers(
        context.ports.table,
        lambda hold: step(hold, context),
        concurrency=settings.work.concurrency,
        lease=settings.work.lease,
        clock=context.clock,
        monotonic=time.monotonic,
        random=context.random,
        queued=dispatch.queued,
    )


def _seen(context: Context) -> Awaitable[Overview]:
    return overview(context.ports.jobs, context.ports.budget, context.now())


def _public(settings: Settings, context: Context, store: Store, workers: Workers) -> ASGIApp:
    return receiver(
        call_back=context.ports.table.call_back,
        secrets=[secret.get_secret_value() for secret in settings.callbacks.secrets],
        public_url=settings.callbacks.public_url or "",
        ready=Readiness(readiness_checks(store, context.ports.results), clock=time.monotonic),
        tally=context.tally,
        woken=workers.wake,
        stopping=lambda: workers.stopping,
        now=context.clock,
    )


def readiness_checks(store: Store, results: Results) -> Mapping[str, Check]:
    """What must answer before balancers send anything here: our own engines, each asked something small."""
    return {"jobs": store.ready, "results": lambda: results.has("readiness")}


def _private(settings: Settings, context: Context, drop: Drop, aws: Amazon, metrics: Metrics) -> ASGIApp:
    token = settings.ops.token
    return ops(
        jobs=context.ports.jobs,
        operations=Operations(context, drop, aws, inbox=settings.inbox, base=Path.cwd()),
        scrapes=Scrapes(metrics, lambda: _seen(context), clock=time.monotonic),
        token=token.get_secret_value() if token else None,
        now=context.clock,
    )


def _server(app: ASGIApp, sock: socket.socket) -> tuple[Listener, socket.socket]:
    return Listener(listening(app, last_answers=LAST_ANSWERS)), sock


@contextlib.contextmanager
def _listening(variable: str, host: str, port: int) -> Iterator[socket.socket]:
    """The port is ours from here on, or refused with one sentence."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        # Python appends the address a second time, in brackets.
        reason = (error.strerror or type(error).__name__).partition(" (")[0]
        what = f"{host}:{port} cannot be listened on ({reason})"
        cure = "stop what listens there, or choose another port or address"
        raise Refused([Problem(place=variable, what=what, cure=cure)]) from error
    with sock:
        yield sock


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _upkeep(settings: Settings, store: Store) -> None:
    """Forget what ended long ago."""
    while True:
        forgotten = 0
        with contextlib.suppress(StoreTrouble):
            forgotten = await store.prune(time.time() - settings.jobs.keep_jobs)
        await asyncio.sleep(PRUNE_AGAIN if forgotten else PRUNE_EVERY)


async def _first_failure(tasks: "list[asyncio.Future[None]]") -> None:
    """Ends when a part ends that should not; raises what ended it."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _stopped(tasks: "Sequence[asyncio.Future[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
