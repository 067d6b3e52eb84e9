"""One prompt, one answer: what is stored already is never asked for again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from pydantic import JsonValue

from service.domain import happened, prompts
from service.domain.answers import Answer, stored_answer
from service.domain.completion import Completion, Finish
from service.domain.errors import Code, Gate, Permanent, StorageTrouble, Throttled
from service.domain.job import Job
from service.domain.pipeline import Prompt
from service.domain.results import JSON
from service.domain.tally import ANSWERS, TOKENS
from service.domain.times import rfc3339
from service.engine.hold import Hold
from service.engine.outage import pause_after
from service.stages.context import Context
from service.stages.gates import through
from service.stages.vendor import counted

UNTOLD: Final = 60.0
"""Seconds to leave a model alone after a refusal that does not say how long: a whole window."""
WITHIN: Final = 300.0
"""Seconds that an answer may take (vendor API reference: the server's own bound is not documented)."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What all prompts of a run share."""

    hold: Hold
    job: Job
    context: Context
    utterances: str | None
    text: str | None
    """The transcript's text, where the vendor has forgotten it."""


async def ask(prompt: Prompt, used: Mapping[str, Answer], asking: Asking) -> Answer:
    """The run's answer to the prompt, given the answers that it uses. First writer wins, and the loser reads.

    Raises Permanent for a prompt that cannot be answered, Transient or Parked for later.
    """
    key = asking.context.place(asking.job).answer(prompt.name, asking.job.run)
    body = await asking.context.ports.results.get(key)
    if body is not None:
        return stored_answer(body, key)
    request, digest = _rendered(prompt, used, asking)
    earlier = await _from_earlier_run(prompt, digest, asking)
    if earlier is not None:
        return await _stored(key, earlier, asking, "reused")
    completion = await _completion(request, asking)
    answer = _answer(prompt, digest, completion, asking)
    return await _kept(key, answer, asking)


def _rendered(prompt: Prompt, used: Mapping[str, Answer], asking: Asking) -> tuple[Mapping[str, JsonValue], str]:
    job = asking.job
    assert job.transcript is not None
    known = prompts.Context(
        recording=job.recording,
        transcript_id=job.transcript.id,
        utterances=asking.utterances,
        answers={name: answer.content for name, answer in used.items()},
    )
    messages, uses_transcript = prompts.render(prompt, known)
    request: dict[str, JsonValue] = {**prompt.request, "messages": list(messages)}
    if uses_transcript:
        request["transcript_id"] = job.transcript.id
    digests = {name: answer.digest for name, answer in used.items()}
    digest = prompts.request_digest(request, job.transcript.id, digests)
    return (request if asking.text is None else prompts.filled(request, asking.text)), digest


async def _from_earlier_run(prompt: Prompt, digest: str, asking: Asking) -> Answer | None:
    for run in range(asking.job.run - 1, 0, -1):
        key = asking.context.place(asking.job).answer(prompt.name, run)
        body = await asking.context.ports.results.get(key)
        if body is None:
            continue
        answer = stored_answer(body, key)
        if answer.digest == digest:
            structlog.get_logger().info(happened.ANSWER_REUSED, prompt=prompt.name, from_run=run)
            return answer
    return None


async def _completion(request: Mapping[str, object], asking: Asking) -> Completion:
    """The paid request, on a freshly renewed lease."""
    context = asking.context
    model = str(request["model"])
    wait = await context.ports.budget.take(model)
    if wait > 0:
        raise Throttled(f"the allowance of {model} is spent for now", retry_after=wait)
    async with through(context, Gate.GATEWAY):
        await asking.hold.renew()
        try:
            with counted(context, "ask"):
                return await context.ports.language_model.ask(request, within=WITHIN)
        except Throttled as throttled:
            await context.ports.budget.exhausted(model, throttled.retry_after or UNTOLD)
            raise


def _answer(prompt: Prompt, digest: str, completion: Completion, asking: Asking) -> Answer:
    asking.context.tally.count(TOKENS, completion.usage.input_tokens, direction="input")
    asking.context.tally.count(TOKENS, completion.usage.output_tokens, direction="output")
    content = completion.content or ""
    refusal: tuple[Code, str] | None = None
    if completion.finish is Finish.LENGTH:
        most = prompt.request.get("max_tokens")
        place = "the model's own limit, for want of max_tokens" if most is None else f"max_tokens={most}"
        refusal = (Code.PROMPT_TRUNCATED, f"the answer was cut off at {place}")
    elif completion.finish is Finish.FILTERED:
        refusal = (Code.PROMPT_BLOCKED, f"the model withheld its answer ({completion.finish_reason})")
    elif not content.strip():
        refusal = (Code.PROMPT_EMPTY, f"the model gave no content ({completion.finish_reason or 'and no reason'})")
    if refusal is not None:
        raise Permanent(*refusal, request_id=completion.request_id)
    return Answer(
        prompt=prompt.name,
        digest=digest,
        content=content,
        model=completion.model,
        usage=completion.usage,
        finish_reason=completion.finish_reason,
        request_id=completion.request_id,
        answered_at=rfc3339(asking.context.now()),
    )


async def _kept(key: str, answer: Answer, asking: Asking) -> Answer:
    """Store what was paid for, however long that takes: asked again it would be paid again."""
    failures = 0
    while True:
        try:
            # Even if this worker is told to stop right now.
            return await asyncio.shield(_stored(key, answer, asking, "stored"))
        except StorageTrouble as trouble:
            failures += 1
            pause = pause_after(failures)
            structlog.get_logger().warning(happened.JOB_WAITING, prompt=answer.prompt, reason=trouble.message)
            await asyncio.sleep(pause)


async def _stored(key: str, answer: Answer, asking: Asking, how: str) -> Answer:
    results = asking.context.ports.results
    if await results.put_new(key, answer.to_bytes(), JSON):
        asking.hold.progressed()
        asking.context.tally.count(ANSWERS, result=how)
        structlog.get_logger().info(
            happened.ANSWER_STORED, prompt=answer.prompt, model=answer.model, request_id=answer.request_id
        )
        return answer
    winner = await results.get(key)
    assert winner is not None
    asking.context.tally.count(ANSWERS, result="second")
    return stored_answer(winner, key)
