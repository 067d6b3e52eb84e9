"""decided → published or failed: the result is put whole, then the event is made from what is stored."""

from collections.abc import Mapping
from dataclasses import replace

import structlog

from service.domain import happened
from service.domain.asking.answers import Answer, stored_answer
from service.domain.attributes import evaluate
from service.domain.errors import Code, TranscriptMissing, Unavailable
from service.domain.events import Event, event
from service.domain.job import Failure, Job, Outcome, Status
from service.domain.pipeline import Pipeline
from service.domain.results import AUDIO, JSON, result_json, stored_result
from service.domain.tally import EVENTS_PUBLISHED
from service.domain.use.books import entry_of
from service.engine.hold import Hold
from service.engine.row import Entry, Save
from service.stages.adopt import noted
from service.stages.context import Context
from service.stages.decisions import entered, save
from service.stages.redacted import awaited
from service.stages.vendor import read, transcription


async def publish(hold: Hold, job: Job, context: Context) -> Save:
    """Tell how the run ended. The verdict is on the row already; nothing here can change it.

    Raises Unavailable and what the vendor's calls raise: publishing is retried without end.
    """
    pipeline, entry = await context.pipeline_of(job), None
    if not job.told:
        called = hold.row.callbacks > hold.row.callbacks_checked
        job, wait = await awaited(job, pipeline, context, called=called)
        if wait:
            return save(job, Status.DECIDED, context.now() + wait, heard=hold.row.callbacks)
        entry = await _tell(hold, job, pipeline, context)
        job = job.model_copy(update={"told": True})
    if pipeline and not pipeline.outputs.keep_transcript and _made_by_us(job):
        await hold.save(replace(save(job, Status.DECIDED, context.now(), keep_lease=True), entry=entry))
        entry = None
        await _forgotten(job, context)
        job = job.model_copy(update={"forgotten": job.transcript is not None})
    assert job.verdict is not None
    ended = Status.FAILED if job.verdict.outcome is Outcome.FAILED else Status.PUBLISHED
    return replace(save(entered(job, ended, context.now()), ended, None), entry=entry)


async def _tell(hold: Hold, job: Job, pipeline: Pipeline | None, context: Context) -> Entry | None:
    """The event is made from the stored bytes, read back, so that whoever repeats this sends the very same.

    What the run used goes into the books with the save after it, which only one worker makes, and once.
    """
    key = context.place(job).result(job.run)
    results = context.ports.results
    body = await results.get(key)
    if body is None:
        await results.put_new(key, await _result(job, pipeline, context), JSON)
        body = await results.get(key)
        assert body is not None
    told = await event_of(body, key, context)
    # Whoever was frozen until another took over finds it out here, and does not tell a second time.
    await hold.renew()
    await context.ports.events.publish(told.body, told.attributes, told.group, told.id)
    context.tally.count(EVENTS_PUBLISHED, type=str(told.attributes["type"]))
    structlog.get_logger().info(happened.JOB_PUBLISHED, event_id=told.id, outcome=told.attributes["outcome"])
    return entry_of(stored_result(body, key))


async def event_of(body: bytes, key: str, context: Context) -> Event:
    """The event of a stored result, its attributes pointed at by the pipeline that the run was bound to."""
    stored = stored_result(body, key)
    pin = stored.document.get("pipeline_digest")
    pipeline = await context.pinned(pin) if isinstance(pin, str) else None
    return event(stored, evaluate(pipeline.attributes if pipeline else {}, stored.data))


async def _result(job: Job, pipeline: Pipeline | None, context: Context) -> bytes:
    answers: dict[str, Answer | Failure] = {}
    raw: dict[str, str] = {}
    for prompt in pipeline.prompts if pipeline else ():
        failure = job.prompt_failures.get(prompt.name)
        key = context.place(job).answer(prompt.name, job.run)
        body = None if failure else await context.ports.results.get(key)
        if failure:
            answers[prompt.name] = failure
            if failure.code is Code.PROMPT_INVALID:
                words = await context.ports.results.get(context.place(job).raw(prompt.name, job.run))
                raw |= {} if words is None else {prompt.name: words.decode(errors="replace")}
        elif body is not None:
            answers[prompt.name] = stored_answer(body, key)
    return result_json(context.terms.name, job, answers, await _files(job, context), raw)


async def _files(job: Job, context: Context) -> Mapping[str, str]:
    """The URIs of what exists, the result's own included."""
    place, results = context.place(job), context.ports.results
    candidates = [
        ("transcript_json", place.transcript_json),
        ("transcript_txt", place.transcript_txt),
        ("srt", place.captions("srt")),
        ("vtt", place.captions("vtt")),
        *(("redacted_audio", place.redacted_audio(form)) for form in AUDIO if job.redacted_audio),
    ]
    there = {name: results.uri(key) for name, key in candidates if await results.has(key)}
    return {"result": results.uri(place.result(job.run)), **there}


def _made_by_us(job: Job) -> bool:
    """Whether the vendor was given a transcript to make for this job."""
    return bool(job.spent or job.doubles or (job.transcript and job.transcript.ours))


async def _forgotten(job: Job, context: Context) -> None:
    """Deleting is done when a GET shows it; of what was submitted twice, the doubles that called back too.

    Raises Unavailable until then.
    """
    own = (job.transcript.id,) if job.transcript and job.transcript.ours else ()
    # Without a transcript of its own, what a callback named may be the one that a retry goes on with.
    doubles = [reading.id for reading in await noted(job, context)] if own else []
    for transcript_id in dict.fromkeys((*own, *job.spent, *job.doubles, *doubles)):
        async with transcription(context, "delete"):
            await context.ports.transcriber.delete(transcript_id)
        try:
            reading = await read(context, transcript_id)
        except TranscriptMissing:
            continue
        if not reading.deleted:
            raise Unavailable("the vendor still shows the transcript that is to be deleted")
