"""Asking new questions of recordings that have been through: at a person's word, of the transcripts that we keep."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from service.domain import reanalysis
from service.domain.asking import prompts
from service.domain.asking.answers import Answer, stored_answer
from service.domain.errors import Permanent
from service.domain.job import Job, NotUnderstood, Status, understood
from service.domain.pipeline import Pipeline, Prompt, digest, to_json
from service.domain.reanalysis import Comparison
from service.domain.speech import Spoken
from service.engine.errors import IllegalStep
from service.engine.row import Lane, Row
from service.stages.asking.ask import rendered
from service.stages.context import Context
from service.stages.decisions import save
from service.stages.discretion import as_asked
from service.stages.retry import next_run
from service.stages.speech import renders, spoken


class Reason(StrEnum):
    """Why a recording is left alone."""

    SAME = "same"
    """Every prompt of today has its answer, or today's pipeline has been applied already."""
    ON_ITS_WAY = "on_its_way"
    NO_TRANSCRIPT = "no_transcript"
    NO_PIPELINE = "no_pipeline"
    UNFIT = "unfit"
    """A required prompt cannot be asked of its transcript: a run could only fail."""
    UNREDACTED = "unredacted"
    """Its transcript was made without the redaction that today's pipeline asks for."""
    NEWER = "newer"
    """Another version wrote what is known of it."""


@dataclass(frozen=True, kw_only=True)
class Alone:
    """A recording that is left alone, and more about why, where there is more."""

    row: Row
    reason: Reason
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A prompt that would be asked, in so many requests if all goes well; `input_tokens` is an estimate.

    Of prompts that share a request the first has the request and the speech, the others have none.
    """

    prompt: str
    model: str
    requests: int
    input_tokens: int


@dataclass(frozen=True, kw_only=True)
class Due:
    """A recording of which today's pipeline would ask something new, as its row stood then."""

    row: Row
    job: Job
    pipeline: Pipeline
    questions: tuple[Question, ...]


async def considered(row: Row, context: Context) -> Due | Alone:
    """What would be asked of the recording by today's pipeline of its name; nothing is changed.

    Raises Unavailable, StoreTrouble.
    """
    try:
        job = understood(row.facts)
    except NotUnderstood:
        return Alone(row=row, reason=Reason.NEWER)
    pipeline = context.pipelines.get(job.pipeline)
    if pipeline is None:
        return Alone(row=row, reason=Reason.NO_PIPELINE, words=job.pipeline)
    if (reason := await _alone(row, job, pipeline, context)) is not None:
        return Alone(row=row, reason=reason)
    answers = await _answers(job, pipeline, context)
    comparison = await _compared(job, pipeline, answers, context)
    lacking = next((each.name for each in pipeline.prompts if each.required and each.name in comparison.unfit), None)
    if lacking is not None:
        words = f"prompt {lacking} of {pipeline.name}: {comparison.unfit[lacking]}"
        return Alone(row=row, reason=Reason.UNFIT, words=words)
    if not comparison.new:
        return Alone(row=row, reason=Reason.SAME)
    questions = await _weighed(comparison.new, pipeline, job, answers, context)
    return Due(row=row, job=job, pipeline=pipeline, questions=questions)


async def reanalyze(due: Due, context: Context) -> Row | None:
    """The recording on its next run, bound to the pipeline that it was considered with, behind what just arrived.

    None: it has been sent on meanwhile by somebody else. Raises StoreTrouble.
    """
    standing = await context.ports.jobs.get(due.row.id)
    if standing is None or standing.token != due.row.token:
        return None
    # The service may not have read the pipelines file yet that this was decided by.
    pin = digest(due.pipeline)
    await context.ports.pins.pin(pin, to_json(due.pipeline))
    job = next_run(due.job, Status.TRANSCRIBED, context.now(), repin=False)
    job = job.model_copy(update={"pipeline_digest": pin})
    facts = save(job, Status.TRANSCRIBED, 0.0).facts
    try:
        return await context.ports.table.reopen(due.row.id, Status.TRANSCRIBED, facts, Lane.BACKFILL)
    except (IllegalStep, KeyError):
        return None


async def _alone(row: Row, job: Job, pipeline: Pipeline, context: Context) -> Reason | None:
    """What can be told before the answers are looked at: most recordings need no further look."""
    if not row.ended:
        return Reason.ON_ITS_WAY
    if job.transcript is None or not job.transcript.kept:
        return Reason.NO_TRANSCRIPT
    # Also where a prompt failed meanwhile: repeated, this would otherwise never come to an end.
    applied = job.pipeline_digest == digest(pipeline)
    if applied or job.transcript.blank:
        return Reason.SAME
    return None if await as_asked(job, pipeline, context) else Reason.UNREDACTED


async def _compared(
    job: Job, pipeline: Pipeline, answers: Mapping[str, Sequence[Answer]], context: Context
) -> Comparison:
    try:
        heard = await spoken(job, pipeline, context, looking=True) if renders(pipeline) else Spoken()
    except Permanent as error:
        return Comparison(new=(), unfit={prompt.name: error.message for prompt in pipeline.prompts})

    def digest_of(prompt: Prompt, used: Mapping[str, Answer]) -> str:
        return rendered(prompt, used, job, heard)[1]

    return reanalysis.compared(pipeline, answers, digest_of)


async def _answers(job: Job, pipeline: Pipeline, context: Context) -> Mapping[str, Sequence[Answer]]:
    """What earlier runs were answered to the pipeline's prompts, the latest first."""
    place, results = context.place(job), context.ports.results

    async def one(prompt: str) -> Sequence[Answer]:
        keys = [place.answer(prompt, run) for run in range(job.run, 0, -1)]
        bodies = await asyncio.gather(*(results.get(key) for key in keys))
        return [stored_answer(body, key) for body, key in zip(bodies, keys, strict=True) if body is not None]

    names = [prompt.name for prompt in pipeline.prompts]
    return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))


async def _weighed(
    new: Sequence[Prompt], pipeline: Pipeline, job: Job, answers: Mapping[str, Sequence[Answer]], context: Context
) -> tuple[Question, ...]:
    spoken_of = any(prompts.uses(prompt, each) for prompt in new for each in prompts.SPEECH)
    size = await _size(job, context) if spoken_of else 0
    sharing = reanalysis.sharing(pipeline, new)
    return tuple(
        Question(
            prompt=prompt.name,
            model=prompt.model,
            requests=0 if prompt.name in sharing else reanalysis.requests(prompt),
            input_tokens=reanalysis.input_tokens(prompt, 0 if prompt.name in sharing else size, answers),
        )
        for prompt in new
    )


async def _size(job: Job, context: Context) -> int:
    """The transcript's bytes; earlier versions did not note them."""
    if job.transcript is not None and job.transcript.text_bytes is not None:
        return job.transcript.text_bytes
    return len(await context.ports.results.get(context.place(job).transcript_txt) or b"")
