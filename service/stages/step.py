"""One step of a job: the stage that its status names, and what is decided when the stage cannot go through."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from math import inf
from types import MappingProxyType
from typing import Final, assert_never

import structlog
from structlog.contextvars import bound_contextvars

from service.domain import happened
from service.domain.errors import Code, Permanent, RecordingReplaced, ServiceError, Transient, Unavailable
from service.domain.job import Failure, Job, NotUnderstood, Outcome, Status, understood
from service.domain.retry import Delay, GiveUp, counted, waited
from service.engine.errors import LeaseLost
from service.engine.hold import Hold
from service.engine.row import Save
from service.engine.rules import CLAIMS_AT_MOST
from service.stages.analyze import analyze
from service.stages.callback import PATIENCE, look
from service.stages.context import Context
from service.stages.decisions import decided, save
from service.stages.gates import Parked
from service.stages.publish import publish
from service.stages.submit import submit

Stage = Callable[[Hold, Job, Context], Awaitable[Save]]

STAGES: Final[Mapping[Status, Stage]] = MappingProxyType(
    {
        Status.RECEIVED: submit,
        Status.SUBMITTED: look,
        Status.TRANSCRIBED: analyze,
        Status.DECIDED: publish,
    }
)


LEFT_ALONE: Final = 60.0
"""Seconds until a job that another version wrote is looked at again; a replica of that version may take it earlier."""


async def step(hold: Hold, context: Context) -> Save:
    """What the stage decided; for a failure of ours, when to come again, or the end of the run.

    Raises LeaseLost, StoreTrouble, and nothing else that is not a bug.
    """
    status = Status(hold.row.status)
    with bound_contextvars(job_id=hold.row.id, stage=STAGES[status].__name__):
        try:
            job = _job(hold)
            if hold.row.claims >= CLAIMS_AT_MOST and status is not Status.DECIDED:
                return _crashed(hold, context)
            return await STAGES[status](hold, job, context)
        except NotUnderstood:
            return _left(hold, context)
        except ServiceError as error:
            return await _undone(hold, error, context)


async def _undone(hold: Hold, error: ServiceError, context: Context) -> Save:
    """What follows from a stage that could not go through."""
    match error:
        case RecordingReplaced(unfinished=True) if _untouched(_job(hold)):
            return await _withdrawn(hold)
        case Permanent() if hold.row.status == Status.DECIDED:
            # The verdict stands, and what remains to be done for it is tried without end.
            return _again(hold, Unavailable(error.message, request_id=error.request_id), context)
        case Permanent():
            return _failed(hold, error, context)
        case Parked():
            return _parked(hold, error, context)
        case Transient():
            return _again(hold, error, context)
        case _:
            raise error


def _untouched(job: Job) -> bool:
    """Nobody has been told of it, and nothing submitted for it: it can be taken back without a trace."""
    return job.run == 1 and not job.spent


def _job(hold: Hold) -> Job:
    """The facts as they were last saved."""
    return understood(hold.row.facts)


def _left(hold: Hold, context: Context) -> Save:
    """The row exactly as it is, and no attempt counted: a replica that understands it must find it unharmed."""
    row = hold.row
    structlog.get_logger().warning(happened.JOB_WAITING, reason="another version wrote what is known of this job")
    due_at = context.now() + LEFT_ALONE
    return Save(
        status=row.status,
        facts=row.facts,
        due_at=due_at,
        heard=row.callbacks,
        parked=row.parked,
        queue=row.queue,
        wants=row.wants,
    )


def _failed(hold: Hold, error: Permanent, context: Context) -> Save:
    return _ended(hold, Failure(code=error.code, message=error.message, request_id=error.request_id), context)


def _ended(hold: Hold, failure: Failure, context: Context) -> Save:
    structlog.get_logger().warning(happened.JOB_DECIDED, outcome="failed", code=failure.code, error=failure.message)
    return decided(_job(hold), context.now(), Outcome.FAILED, error=failure)


def _crashed(hold: Hold, context: Context) -> Save:
    words = f"{CLAIMS_AT_MOST} workers in a row took this job and came no further with it"
    return _failed(hold, Permanent(Code.CRASHES_WORKER, words), context)


def _parked(hold: Hold, parked: Parked, context: Context) -> Save:
    """Told once by the gate; the job waits without an attempt being counted."""
    job, closed = _job(hold), parked.closed
    structlog.get_logger().debug(happened.JOB_PARKED, gate=closed.gate)
    until = parked.until(context.random)
    job = job.model_copy(update={"trouble": waited(job.trouble, until - context.now())})
    return save(job, Status(hold.row.status), until, heard=hold.row.callbacks, parked=closed.gate)


def _again(hold: Hold, error: Transient, context: Context) -> Save:
    """When to come again. Publishing is never given up, a transcript that was paid for not before its day is over."""
    job, status, retry = _job(hold), Status(hold.row.status), context.terms.retry
    if status is Status.DECIDED:
        retry = replace(retry, patience=inf)
    elif status is Status.SUBMITTED:
        retry = replace(retry, patience=max(retry.patience, PATIENCE))
    decision = retry.decide(error, job.trouble, now=context.now(), rand=context.random.random())
    match decision:
        case GiveUp(failure=failure):
            return _ended(hold, failure, context)
        case Delay(seconds=seconds, counts=counts):
            trouble = counted(error, job.trouble, now=context.now()) if counts else waited(job.trouble, seconds)
            if counts:
                structlog.get_logger().warning(happened.JOB_RETRIED, error=error.message, seconds=round(seconds, 1))
            job = job.model_copy(update={"trouble": trouble})
            # The retry looks again anyway, so the callbacks so far are answered by it.
            return save(job, status, context.now() + seconds, heard=hold.row.callbacks)
        case _:
            assert_never(decision)


async def _withdrawn(hold: Hold) -> Save:
    """The file was announced before it was whole: take the job back, the watcher will announce what it became."""
    structlog.get_logger().warning(happened.DROP_WITHDRAWN, key=_job(hold).recording.key)
    await hold.withdraw()
    raise LeaseLost
