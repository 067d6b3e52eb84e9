"""One prompt, one answer: what is stored already is never asked for again."""

from collections.abc import Mapping

import structlog
from pydantic import JsonValue

from service.domain import happened
from service.domain.asking import prompts
from service.domain.asking.answers import Answer, stored_answer
from service.domain.asking.turns import Request
from service.domain.errors import AnswerInvalid, Permanent
from service.domain.job import Job
from service.domain.pipeline import Prompt
from service.domain.results import JSON, TEXT
from service.domain.speech import Spoken
from service.domain.tally import ANSWERS
from service.domain.times import rfc3339
from service.domain.use.usage import Usage, summed
from service.stages.asking.exchange import Exchange
from service.stages.asking.requests import Asking, until_stored


async def ask(prompt: Prompt, used: Mapping[str, Answer], asking: Asking, *, before: Usage | None = None) -> Answer:
    """The run's answer to the prompt, given the answers that it uses. First writer wins, and the loser reads.

    `before` is what was spent on it already without bringing its answer.
    Raises Permanent for a prompt that cannot be answered, Transient, Parked or Queued for later.
    """
    there = await known(prompt, used, asking)
    if there is not None:
        return there
    request, digest = rendered(prompt, used, asking.job, asking.spoken)
    exchange = Exchange(prompt.name, asking, mark=prompts.speech_at(prompt))
    try:
        reply = await exchange.reply(request)
    except Permanent as failed:
        failed.usage = exchange.used if before is None else summed([before, exchange.used])
        if isinstance(failed, AnswerInvalid):
            await _raw_kept(prompt, failed, asking)
        raise
    answer = Answer(
        prompt=prompt.name,
        digest=digest,
        content=reply.content,
        value=reply.value,
        turns=reply.turns,
        model=reply.completion.model,
        usage=reply.usage if before is None else summed([before, reply.usage]),
        finish_reason=reply.completion.finish_reason,
        request_id=reply.completion.request_id,
        answered_at=rfc3339(asking.context.now()),
    )
    return await until_stored(lambda: stored(answer, asking, "stored"), prompt=prompt.name)


async def known(prompt: Prompt, used: Mapping[str, Answer], asking: Asking) -> Answer | None:
    """The answer that needs no request: this run's, or an earlier run's to the very same question.

    Raises Permanent for a prompt that cannot be asked, Transient.
    """
    key = asking.context.place(asking.job).answer(prompt.name, asking.job.run)
    body = await asking.context.ports.results.get(key)
    if body is not None:
        return stored_answer(body, key)
    if asking.job.run == 1:
        return None
    _, digest = rendered(prompt, used, asking.job, asking.spoken)
    earlier = await _from_earlier_run(prompt, digest, asking)
    return None if earlier is None else await stored(earlier, asking, "reused")


def context_of(used: Mapping[str, Answer], job: Job, spoken: Spoken) -> prompts.Context:
    """All that a prompt of the job may speak of, which uses these answers."""
    assert job.transcript is not None
    return prompts.Context(
        recording=job.recording,
        transcript_id=job.transcript.id,
        utterances=spoken.utterances,
        paragraphs=spoken.paragraphs,
        answers={name: answer.content for name, answer in used.items()},
    )


def rendered(prompt: Prompt, used: Mapping[str, Answer], job: Job, spoken: Spoken) -> tuple[Request, str]:
    """The request that has the vendor fill in the transcript, and the digest of all that its answer depends on.

    Raises Permanent for a prompt that cannot be asked of this transcript.
    """
    assert job.transcript is not None
    messages, uses_transcript = prompts.render(prompt, context_of(used, job, spoken))
    request: dict[str, JsonValue] = {**prompt.request, "messages": list(messages)}
    if uses_transcript:
        request["transcript_id"] = job.transcript.id
    digests = {name: answer.digest for name, answer in used.items()}
    return request, prompts.request_digest(request, job.transcript.id, digests)


async def _from_earlier_run(prompt: Prompt, digest: str, asking: Asking) -> Answer | None:
    for run in range(asking.job.run - 1, 0, -1):
        key = asking.context.place(asking.job).answer(prompt.name, run)
        body = await asking.context.ports.results.get(key)
        if body is None:
            continue
        answer = stored_answer(body, key)
        if answer.digest == digest:
            structlog.get_logger().info(happened.ANSWER_REUSED, prompt=prompt.name, from_run=run)
            return answer.model_copy(update={"from_run": answer.from_run or run})
    return None


async def _raw_kept(prompt: Prompt, invalid: AnswerInvalid, asking: Asking) -> None:
    """The words that no answer could be made of stay, for people to read."""
    key = asking.context.place(asking.job).raw(prompt.name, asking.job.run)
    body = invalid.raw.encode(errors="replace")
    await until_stored(lambda: asking.context.ports.results.put_new(key, body, TEXT), prompt=prompt.name)


async def stored(answer: Answer, asking: Asking, how: str) -> Answer:
    """Kept for this run, or the one that another worker kept before; `how` is counted. Raises Unavailable."""
    results = asking.context.ports.results
    key = asking.context.place(asking.job).answer(answer.prompt, asking.job.run)
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
