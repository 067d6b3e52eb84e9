"""One step of a job: the stage that its status names, and what is decided when the stage cannot go through."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from math import inf
from types import MappingProxyType
from typing import Final, assert_never

import structlog
from structlog.contextvars import bound_contextvars

from service.domain import happened
from service.domain.errors import Code, Permanent, RecordingReplaced, Transient
from service.domain.job import Failure, Job, Outcome, Status
from service.domain.retry import Delay, GiveUp, counted
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


async def step(hold: Hold, context: Context) -> Save:
    """What the stage decided; for a failure of ours, when to come again, or the end of the run.

    Raises LeaseLost, StoreTrouble, and nothing else that is not a bug.
    """
    status = Status(hold.row.status)
    with bound_contextvars(job_id=hold.row.id, stage=STAGES[status].__name__):
        if hold.row.claims >= CLAIMS_AT_MOST and status is not Status.DECIDED:
            return _crashed(hold, context)
        try:
            return await STAGES[status](hold, _job(hold), context)
        except RecordingReplaced as replaced:
            if replaced.unfinished:
                await _withdrawn(hold)
            return _failed(hold, replaced, context)
        except Parked as parked:
            return _parked(hold, parked, context)
        except Permanent as error:
            return _failed(hold, error, context)
        except Transient as error:
            return _again(hold, error, context)


def _job(hold: Hold) -> Job:
    """The facts as they were last saved."""
    return Job.model_validate(hold.row.facts)


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
    return save(
        job, Status(hold.row.status), parked.until(context.random), heard=hold.row.callbacks, parked=closed.gate
    )


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
            if counts:
                structlog.get_logger().warning(happened.JOB_RETRIED, error=error.message, seconds=round(seconds, 1))
                job = job.model_copy(update={"trouble": counted(error, job.trouble, now=context.now())})
            # The retry looks again anyway, so the callbacks so far are answered by it.
            return save(job, status, context.now() + seconds, heard=hold.row.callbacks)
        case _:
            assert_never(decision)


async def _withdrawn(hold: Hold) -> None:
    """The file was announced before it was whole: take the job back, the watcher will announce what it became."""
    structlog.get_logger().warning(happened.DROP_WITHDRAWN, key=_job(hold).recording.key)
    await hold.withdraw()
    raise LeaseLost
