"""transcribed → decided: ask every prompt what has not been answered, then fix the verdict of the run."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, assert_never

import structlog

from service.domain import happened
from service.domain.errors import Code, Permanent, TranscriptMissing, Transient
from service.domain.job import Failure, Job, Outcome, Status, Trouble
from service.domain.models.allowance import queue_of
from service.domain.pipeline import Pipeline, digest, to_json
from service.domain.retry import Delay, GiveUp, counted, waited
from service.engine.errors import StoreTrouble
from service.engine.hold import Hold
from service.engine.row import Save
from service.stages.asking.purse import Purse, Queued
from service.stages.asking.questions import Ended, answered
from service.stages.asking.requests import Asking
from service.stages.context import Context
from service.stages.decisions import decided, save
from service.stages.gates import Parked
from service.stages.redacted import kept_at_once
from service.stages.speech import spoken

UNKNOWN_AT_MOST: Final = 12
"""Requests for one answer whose outcome nobody knows: each of them may have been billed."""

AT_THE_LATEST: Final = 600.0
"""Seconds until a job that waits in a queue is looked at anyway, on top of twice what its wait should be."""


@dataclass(frozen=True, kw_only=True)
class Wait:
    """When a prompt may be asked again (epoch seconds), and the shut gate that it waits at, if any."""

    until: float
    gate: str | None


@dataclass(frozen=True, kw_only=True)
class InLine:
    """The queue that the job waits in, for how many requests, and until when at the latest (epoch seconds)."""

    queue: str
    wants: int
    until: float


async def analyze(hold: Hold, job: Job, context: Context) -> Save:
    """Ask what can be asked now. Every answer is stored the moment it arrives; prompts that must wait are retried.

    A prompt fails alone; whether that fails the run is decided once every prompt has ended.
    """
    purse = Purse(hold.row, context.grants.collected(hold.row.id), context.ports.budget)
    job, pipeline = await _pinned(hold, job, context)
    job = await kept_at_once(job, pipeline, context)
    assert job.transcript is not None
    if job.transcript.blank:
        return decided(job, context.now(), Outcome.COMPLETE, skipped="no_speech")
    try:
        asking = Asking(hold=hold, job=job, context=context, purse=purse, spoken=await spoken(job, pipeline, context))
        ended = await answered(pipeline, asking)
        if any(isinstance(end, TranscriptMissing) for end in ended.values()):
            # It went on some day that nobody told us of; what has ended meanwhile is not asked again.
            job = job.model_copy(update={"forgotten": True, "prompt_failures": _failures(ended)})
            ended = await answered(pipeline, replace(asking, job=job, spoken=await spoken(job, pipeline, context)))
    finally:
        await purse.close()
    line = await _line([end for end in ended.values() if isinstance(end, Queued)], context)
    job, failures, waits = _settled(job, ended, line, context)
    if waits or line:
        return _waiting(job, waits, line, context)
    return _verdict(job, pipeline, failures, context.now())


async def _pinned(hold: Hold, job: Job, context: Context) -> tuple[Job, Pipeline]:
    """The pipeline whose prompts this job asks, kept before the first request so that no deploy mixes two versions."""
    if job.pipeline_digest is not None:
        return job, await context.pinned(job.pipeline_digest)
    pipeline = await context.pipeline_of(job)
    if pipeline is None:
        raise Permanent(Code.PIPELINE_MISSING, f"the pipelines file has no pipeline {job.pipeline!r} any more")
    pin = digest(pipeline)
    await context.ports.pins.pin(pin, to_json(pipeline))
    job = job.model_copy(update={"pipeline_digest": pin})
    await hold.save(save(job, Status.TRANSCRIBED, context.now(), keep_lease=True))
    return job, pipeline


async def _line(queued: Collection[Queued], context: Context) -> InLine | None:
    """Where to wait: for the model that may be asked soonest, for all that wants it now."""
    if not queued:
        return None
    model = min(queued, key=lambda each: each.wait).model
    # A prompt that uses an answer which waits ends as that does, and wants nothing yet.
    wants = len({id(each) for each in queued if each.model == model})
    until = context.now() + AT_THE_LATEST + 2 * await _expected(model, context)
    return InLine(queue=queue_of(model), wants=wants, until=until)


async def _expected(model: str, context: Context) -> float:
    try:
        return await context.ports.budget.wait(model)
    except StoreTrouble:
        # What came of the other prompts may have been paid for, and must be saved however much waiting is left.
        return 0.0


def _settled(
    job: Job, ended: Mapping[str, Ended], line: InLine | None, context: Context
) -> tuple[Job, Mapping[str, Failure], Sequence[Wait]]:
    """The job with its failures and troubles on record, and what is waited for; whose patience is over has failed."""
    failures = _failures(ended)
    troubles = dict(job.prompt_trouble)
    retry = replace(context.terms.retry, most_unknown=UNKNOWN_AT_MOST)
    waits: list[Wait] = []
    for name, end in ended.items():
        if isinstance(end, Parked):
            wait = Wait(until=end.until(context.random), gate=end.closed.gate)
            waits.append(wait)
            _rest(troubles, name, wait.until - context.now())
        elif isinstance(end, Queued):
            _rest(troubles, name, line.until - context.now() if line else end.wait)
        elif isinstance(end, Transient):
            before = job.prompt_trouble.get(name)
            decision = retry.decide(end, before, now=context.now(), rand=context.random.random())
            match decision:
                case GiveUp(failure=failure):
                    failures[name] = failure
                case Delay(seconds=seconds, counts=counts):
                    waits.append(Wait(until=context.now() + seconds, gate=None))
                    if counts:
                        troubles[name] = counted(end, before, now=context.now())
                    else:
                        _rest(troubles, name, seconds)
                case _:
                    assert_never(decision)
    job = job.model_copy(update={"prompt_failures": failures, "prompt_trouble": troubles})
    return job, failures, waits


def _failures(ended: Mapping[str, Ended]) -> dict[str, Failure]:
    return {name: end for name, end in ended.items() if isinstance(end, Failure)}


def _rest(troubles: dict[str, Trouble], name: str, seconds: float) -> None:
    rested = waited(troubles.get(name), seconds)
    if rested is not None:
        troubles[name] = rested


def _waiting(job: Job, waits: Sequence[Wait], line: InLine | None, context: Context) -> Save:
    """Come again when the first of the prompts may be asked again; parked only if all wait for the account."""
    until = min([*(wait.until for wait in waits), *([line.until] if line else [])])
    seconds = round(until - context.now(), 1)
    if line:
        structlog.get_logger().info(happened.JOB_WAITING, queue=line.queue, wants=line.wants, at_the_latest=seconds)
        return save(job, Status.TRANSCRIBED, until, queue=line.queue, wants=line.wants)
    first = min(waits, key=lambda wait: wait.until)
    gates = {wait.gate for wait in waits}
    structlog.get_logger().info(happened.JOB_WAITING, prompts=len(waits), seconds=seconds)
    return save(job, Status.TRANSCRIBED, until, parked=first.gate if None not in gates else None)


def _verdict(job: Job, pipeline: Pipeline, failures: Mapping[str, Failure], now: float) -> Save:
    """Every prompt has ended: a required one that failed fails the run, another makes it partial."""
    for prompt in pipeline.prompts:
        if prompt.required and prompt.name in failures:
            failure = failures[prompt.name]
            words = f"prompt {prompt.name}: {failure.message}"
            error = Failure(code=Code.PROMPT_FAILED, message=words, request_id=failure.request_id)
            return decided(job, now, Outcome.FAILED, error=error)
    return decided(job, now, Outcome.PARTIAL if failures else Outcome.COMPLETE)
