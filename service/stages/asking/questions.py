"""All questions of a run at once: each as soon as the answers that it uses are there, together where they may be."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from service.domain import happened
from service.domain.asking import combining, prompts
from service.domain.asking.answers import Answer
from service.domain.errors import Code, Permanent, StorageTrouble, TranscriptMissing, Transient
from service.domain.job import Failure
from service.domain.pipeline import Pipeline, Prompt
from service.domain.tally import ANSWERS
from service.engine.errors import StoreTrouble
from service.stages.asking.ask import ask, known
from service.stages.asking.combine import Shares, combine
from service.stages.asking.purse import Queued
from service.stages.asking.requests import Asking
from service.stages.gates import Parked

Later = Transient | Parked | Queued | TranscriptMissing
"""`TranscriptMissing`: the vendor has the transcript no longer, and our own copy was not tried yet."""
Ended = Answer | Failure | Later
"""What came of a prompt for now."""


async def answered(pipeline: Pipeline, asking: Asking) -> Mapping[str, Ended]:
    """What came of each prompt. Raises nothing but what is a bug, LeaseLost or CancelledError."""
    tasks: dict[str, asyncio.Task[Ended]] = {}
    sharing: dict[str, asyncio.Task[Shares | Later]] = {}
    groups = combining.groups(pipeline.prompts, asking.context.ports.catalogue.models) if pipeline.combine else ()
    async with asyncio.TaskGroup() as group:
        for members in groups:
            together = group.create_task(_together(members, tasks, asking))
            sharing |= dict.fromkeys([prompt.name for prompt in members], together)
        for prompt in pipeline.prompts:
            tasks[prompt.name] = group.create_task(_one(prompt, tasks, sharing, asking))
    return {name: task.result() for name, task in tasks.items()}


async def _together(
    members: Sequence[Prompt], tasks: Mapping[str, "asyncio.Task[Ended]"], asking: Asking
) -> Shares | Later:
    """The members in one request, once all of them can be asked that ever will; what is left of them is asked alone."""
    used: dict[str, Mapping[str, Answer]] = {}
    for prompt in members:
        match await _answers_used(prompt, tasks):
            case dict() as found:
                used[prompt.name] = found
            case Failure():
                continue
            case later:
                # Without this one it would be another request, whose completion nobody finds again with it.
                return later
    try:
        with asking.purse.hand() as hand:
            own = replace(asking, purse=hand)
            return await combine([prompt for prompt in members if prompt.name in used], used, own)
    except Permanent as error:
        return error if isinstance(error, TranscriptMissing) and _own_copy_untried(asking) else {}
    except (Transient, Parked, Queued, StoreTrouble) as later:
        return StorageTrouble(str(later)) if isinstance(later, StoreTrouble) else later


async def _one(
    prompt: Prompt,
    tasks: Mapping[str, "asyncio.Task[Ended]"],
    sharing: Mapping[str, "asyncio.Task[Shares | Later]"],
    asking: Asking,
) -> Ended:
    failed = asking.job.prompt_failures.get(prompt.name)
    if failed is not None:
        return failed
    shares: Shares | Later = await sharing[prompt.name] if prompt.name in sharing else {}
    used = await _answers_used(prompt, tasks)
    if not isinstance(used, dict):
        return used
    try:
        if isinstance(shares, Later):
            # An answer that is there already waits for nobody, and outlasts whatever becomes of the others.
            return await known(prompt, used, asking) or shares
        with asking.purse.hand() as hand:
            return await ask(prompt, used, replace(asking, purse=hand), before=shares.get(prompt.name))
    except Permanent as error:
        return _refused(prompt, error, asking)
    except (Transient, Parked, Queued, StoreTrouble) as later:
        # The store's trouble too is this prompt's alone: it must not cancel others, whose answers may be paid for.
        return StorageTrouble(str(later)) if isinstance(later, StoreTrouble) else later


async def _answers_used(
    prompt: Prompt, tasks: Mapping[str, "asyncio.Task[Ended]"]
) -> dict[str, Answer] | Failure | Later:
    """The answers that the prompt uses, or what comes of it without one of them."""
    used: dict[str, Answer] = {}
    for name in sorted(prompts.needs(prompt)):
        match await tasks[name]:
            case Answer() as answer:
                used[name] = answer
            case Failure():
                return Failure(code=Code.PROMPT_SKIPPED, message=f"it uses the answer of {name}, which failed")
            case later:
                return later
    return used


def _refused(prompt: Prompt, error: Permanent, asking: Asking) -> Failure | TranscriptMissing:
    if isinstance(error, TranscriptMissing) and _own_copy_untried(asking):
        return error
    asking.context.tally.count(ANSWERS, result="failed")
    structlog.get_logger().warning(
        happened.ANSWER_FAILED, prompt=prompt.name, error=error.message, request_id=error.request_id
    )
    return Failure(code=error.code, message=error.message, request_id=error.request_id, usage=error.usage)


def _own_copy_untried(asking: Asking) -> bool:
    return asking.job.transcript is not None and asking.job.transcript.kept and asking.text is None
