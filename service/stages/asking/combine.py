"""Several prompts in one request: a step before they are asked one by one, which finds most of them answered."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import structlog
from pydantic import JsonValue

from service.domain import happened
from service.domain.asking import combining, prompts
from service.domain.asking.answers import Answer
from service.domain.asking.combining import Task
from service.domain.asking.completion import Completion, Finish
from service.domain.asking.structured import schema_of
from service.domain.asking.templates import Source
from service.domain.asking.turns import Request
from service.domain.errors import Permanent, TranscriptMissing
from service.domain.pipeline import Prompt
from service.domain.times import rfc3339
from service.domain.use import usage
from service.domain.use.usage import Usage
from service.stages.asking.ask import context_of, known, rendered, stored
from service.stages.asking.exchange import Exchange
from service.stages.asking.requests import Asking, entered, journaled, until_stored

IN_DOUBT_AT_MOST: Final = 3
"""Tries of unknown outcome, after which prompts that could share a request are asked one by one."""

Shares = Mapping[str, Usage]
"""By prompt, what its part of a combined request took that did not bring its answer."""


async def combine(group: Sequence[Prompt], used: Mapping[str, Mapping[str, Answer]], asking: Asking) -> Shares:
    """Ask those of the group that have no answer yet in one request, and store each answer that is whole.

    The request's completion is kept in the journal first, so that taking it apart is repeated, never paid again. What
    it does not bring is left to be asked alone, and so is all of it where such a request is refused.
    `used`: by prompt, the answers that it uses. Raises Transient, Parked or Queued for later, Permanent where nobody
    can be asked, TranscriptMissing among it.
    """
    failed = asking.job.prompt_failures
    answers = {prompt.name: await known(prompt, used[prompt.name], asking) for prompt in group}
    missing = {name for name, answer in answers.items() if answer is None and name not in failed}
    # However far this run is, these are the ones that its request was for, or would be.
    members = [prompt for prompt in group if not _of_an_earlier_run(answers[prompt.name])]
    if not missing or len(members) < 2:  # noqa: PLR2004
        return {}
    tasks = [_task(prompt, used[prompt.name], asking) for prompt in members]
    request = _request(members, tasks, used, asking)
    completion = await journaled(request, asking, earlier=False)
    if completion is None and (len(missing) < len(members) or _in_doubt(members, asking)):
        return {}
    try:
        completion = completion or await _asked(request, members, asking)
    except TranscriptMissing:
        raise
    except Permanent as refused:
        words = {"reason": refused.message, "request_id": refused.request_id}
        structlog.get_logger().warning(happened.PROMPTS_PARTED, prompts=[prompt.name for prompt in members], **words)
        return {}
    return await _apart(members, tasks, used, completion, missing, asking)


def _of_an_earlier_run(answer: Answer | None) -> bool:
    return answer is not None and answer.from_run is not None


def _in_doubt(members: Sequence[Prompt], asking: Asking) -> bool:
    troubles = [asking.job.prompt_trouble.get(prompt.name) for prompt in members]
    return any(trouble is not None and trouble.unknown >= IN_DOUBT_AT_MOST for trouble in troubles)


def _task(prompt: Prompt, used: Mapping[str, Answer], asking: Asking) -> Task:
    words = prompts.instruction(
        prompt.messages[-1].content or "", context_of(used, asking.job, asking.spoken), combining.STAND_INS
    )
    return Task(name=prompt.name, instruction=words, structure=schema_of(prompt.request))


def _request(
    members: Sequence[Prompt], tasks: Sequence[Task], used: Mapping[str, Mapping[str, Answer]], asking: Asking
) -> Request:
    """The same however often it is made, since the journal knows it by its digest: only the pipeline has a say.

    Raises Permanent where the recording has not what they speak of.
    """
    first, job = members[0], asking.job
    assert job.transcript is not None
    known_of = context_of(used[first.name], job, asking.spoken)
    sources = combining.speech(first.messages[-1].content)
    speech = [prompts.speech(each, known_of) for each in sources]
    system, _ = prompts.render(first.model_copy(update={"messages": first.messages[:-1]}), known_of)
    request: dict[str, JsonValue] = {
        **combining.parameters([prompt.request for prompt in members]),
        "response_format": combining.response_format(job.pipeline, tasks, strict=_strict(members)),
        "messages": [*system, {"role": "user", "content": combining.content(tasks, speech)}],
    }
    if Source.TRANSCRIPT in sources:
        request["transcript_id"] = job.transcript.id
    return request


def _strict(members: Sequence[Prompt]) -> bool:
    formats = [prompt.request.get("response_format") for prompt in members]
    inner = [each.get("json_schema") for each in formats if isinstance(each, dict)]
    return all(each.get("strict") is True for each in inner if isinstance(each, dict))


async def _asked(request: Request, members: Sequence[Prompt], asking: Asking) -> Completion:
    """Of the first model that takes such a request. Whoever takes it, it is kept as the answer to this one."""
    exchange = Exchange(", ".join(prompt.name for prompt in members), asking)
    completion = await exchange.unread(request)
    return await until_stored(lambda: entered(request, completion, asking), model=completion.model)


async def _apart(
    members: Sequence[Prompt],
    tasks: Sequence[Task],
    used: Mapping[str, Mapping[str, Answer]],
    completion: Completion,
    missing: set[str],
    asking: Asking,
) -> Shares:
    """Each answer under its own name; what the request took is split so that the parts add up to it."""
    withheld = completion.finish is Finish.FILTERED
    found = {} if withheld else combining.properties(completion.content or "")
    weights = [len(found.get(task.name, '""').encode()) for task in tasks]
    shares = dict(zip([task.name for task in tasks], usage.split(completion.usage, weights), strict=True))
    for prompt, task in zip(members, tasks, strict=True):
        said = combining.answer_to(task, found)
        if said is None or prompt.name not in missing:
            continue
        _, digest = rendered(prompt, used[prompt.name], asking.job, asking.spoken)
        kept = Answer(
            prompt=prompt.name,
            digest=digest,
            content=said[0],
            value=said[1],
            shared_with=tuple(other.name for other in members if other is not prompt),
            model=completion.model,
            usage=shares.pop(prompt.name),
            finish_reason=completion.finish_reason,
            request_id=completion.request_id,
            answered_at=rfc3339(asking.context.now()),
        )
        await until_stored(partial(stored, kept, asking, "stored"), prompt=prompt.name)
    return {name: share for name, share in shares.items() if name in missing}
