"""submitted → transcribed: look at the transcript, because we were called back or because it is time to."""

import asyncio
from typing import Final, assert_never

import structlog

from service.domain import happened
from service.domain.errors import Code, Permanent, RecordingMissing, TranscriptMissing
from service.domain.job import Job, Kind, Status, TranscriptFacts
from service.domain.results import CAPTIONS, JSON, TEXT, transcript_json, transcript_txt
from service.domain.tally import PIPELINE_AUDIO
from service.domain.transcript import Document, Reading, State
from service.domain.use.spending import audio_seconds
from service.domain.vendor_errors import Remedy, after_error
from service.engine.hold import Hold
from service.engine.row import Save
from service.stages import adopt
from service.stages.context import Context
from service.stages.decisions import entered, save
from service.stages.discretion import taken_as_it_is
from service.stages.lost import count_if_lost
from service.stages.vendor import polled, read, transcription

PATIENCE: Final = 24 * 3600.0
"""Seconds after which a transcript that has not ended is given up."""
RESUBMISSIONS: Final = 3
FIRST_RESUBMISSION: Final = 2.0
FURTHER_RESUBMISSIONS: Final = 5.0
"""How much longer each further pause before a resubmission is than the one before it."""
LOOK_AGAIN: Final = 3.0
UNASKED_AT_MOST: Final = 30.0
GROWS_FOR: Final = 32
"""Looks after which the pause grows no more: a day of them is more than a power of a float can hold."""
RECONCILE_AT_MOST: Final = 3600.0


async def look(hold: Hold, job: Job, context: Context) -> Save:
    """One look at a job's transcript. The callback that may have led here is only a hint: what counts is our own GET.

    Raises what the vendor's calls raise; Permanent where the transcript's end is the job's.
    """
    heard = hold.row.callbacks
    called = heard > hold.row.callbacks_checked
    assert job.transcript is not None
    if not called:
        await polled(context)
    async with context.documents:
        return await _seen(hold, job, await read(context, job.transcript.id), context, heard, called=called)


async def _seen(hold: Hold, job: Job, reading: Reading, context: Context, heard: int, *, called: bool) -> Save:
    if reading.state in {State.QUEUED, State.PROCESSING}:
        return _not_yet(job, heard, context, called=called)
    if not called:
        await count_if_lost(job, hold.row.callbacks, context)
    if reading.state is State.ERROR:
        return await _ended_in_error(job, reading, heard, context)
    if reading.deleted or reading.document is None:
        raise TranscriptMissing("the transcript was deleted at the vendor")
    await _announced(job, context)
    await taken_as_it_is(job, reading, context)
    await _keep(job, reading.document, context)
    return _transcribed(job, reading, reading.document, heard, context)


async def _announced(job: Job, context: Context) -> None:
    """Returns if it was the announced recording that the vendor read.

    An upload was compared as it was read, and a version id was a part of the URL. Anything else in S3 may have been
    overwritten before the vendor came for it, and is still what was announced, or nothing says whose words these are.
    Raises RecordingMissing, RecordingReplaced, Unavailable.
    """
    recording, intent = job.recording, job.intent
    if recording.kind is not Kind.OBJECT or recording.version is not None:
        return
    if intent is not None and adopt.is_upload(job, intent):
        return
    try:
        await context.ports.recordings.unchanged(recording)
    except RecordingMissing as missing:
        words = f"there is a transcript, but nothing proves any more that it is of this recording: {missing.message}"
        raise RecordingMissing(words) from missing


def _not_yet(job: Job, heard: int, context: Context, *, called: bool) -> Save:
    since = job.submitted_at if job.submitted_at is not None else context.now()
    if context.now() - since > PATIENCE:
        raise Permanent(Code.TRANSCRIPTION_TIMEOUT, "the transcript did not end within 24 hours")
    if called:
        return save(job, Status.SUBMITTED, context.now() + LOOK_AGAIN, heard=heard)
    looks = min(job.looks, GROWS_FOR)
    asked_to_call = job.intent is not None and job.intent.webhook_url is not None
    if asked_to_call:
        pause = min(context.terms.reconcile_after * 2.0 ** (looks + 1), RECONCILE_AT_MOST)
    else:
        pause = min(LOOK_AGAIN * 1.5 ** (looks + 1), UNASKED_AT_MOST)
    looked = job.model_copy(update={"looks": job.looks + 1, "trouble": None})
    return save(looked, Status.SUBMITTED, context.now() + pause, heard=heard)


async def _ended_in_error(job: Job, reading: Reading, heard: int, context: Context) -> Save:
    """The vendor failed the transcript and did not bill it: submit again where that can help, else it is the end."""
    words = reading.error or "the vendor gave no reason"
    remedy = after_error(words)
    if remedy in {Remedy.NO_SPEECH, Remedy.LANGUAGE} and await _falls_back(job, context):
        return _again(job.model_copy(update={"fell_back": True}), reading, words, 0.0, heard, context)
    match remedy:
        case Remedy.RESUBMIT:
            resubmit = job.recording.kind is not Kind.TRANSCRIPT
        case Remedy.FRESH_URL:
            resubmit = job.recording.kind in {Kind.FILE, Kind.OBJECT}
        case Remedy.NO_SPEECH:
            raise Permanent(Code.NO_SPEECH, words)
        case Remedy.LANGUAGE | Remedy.FINAL:
            resubmit = False
        case other:
            assert_never(other)
    if not resubmit or len(job.spent) >= RESUBMISSIONS:
        raise Permanent(Code.TRANSCRIPTION_FAILED, words)
    # An incident lasts longer than three submissions in a row take.
    pause = FIRST_RESUBMISSION * FURTHER_RESUBMISSIONS ** len(job.spent)
    return _again(job, reading, words, pause, heard, context)


async def _falls_back(job: Job, context: Context) -> bool:
    """Whether the vendor has still to be told the language that it could not detect."""
    if job.fell_back or job.recording.kind is Kind.TRANSCRIPT:
        return False
    pipeline = await context.pipeline_of(job)
    if pipeline is None or pipeline.transcript.get("language_detection") is not True:
        return False
    return pipeline.speech.fallback_language is not None


def _again(job: Job, reading: Reading, words: str, pause: float, heard: int, context: Context) -> Save:
    """To be submitted again after so many seconds."""
    structlog.get_logger().warning(
        happened.JOB_RESUBMITTED, reason=words, transcript_id=reading.id, seconds=round(pause, 1)
    )
    again = anew(entered(job, Status.RECEIVED, context.now(), words))
    return save(again, Status.RECEIVED, context.now() + pause, heard=heard)


def anew(job: Job) -> Job:
    """The job as before its submission, its failed transcript never to be taken for a new one."""
    spent = (*job.spent, job.transcript.id) if job.transcript and job.transcript.ours else job.spent
    return job.model_copy(
        update={
            "spent": spent,
            "transcript": None,
            "forgotten": False,
            "redacted_audio": None,
            "intent": None,
            "uploaded": None,
            "submitted_at": None,
            "looks": 0,
        }
    )


async def _keep(job: Job, document: Document, context: Context) -> None:
    """The transcript and its captions lie with the results before anybody is asked about them."""
    place, results = context.place(job), context.ports.results
    await results.put_new(place.transcript_json, await asyncio.to_thread(transcript_json, document), JSON)
    await results.put_new(place.transcript_txt, transcript_txt(document), TEXT)
    pipeline = await context.pipeline_of(job)
    if pipeline is None or not document.words or job.transcript is None:
        return
    for form in pipeline.outputs.captions:
        async with transcription(context, "captions"):
            captions = await context.ports.renditions.captions(job.transcript.id, form)
        await results.put_new(place.captions(form), captions.encode(), CAPTIONS[form])


def _transcribed(job: Job, reading: Reading, document: Document, heard: int, context: Context) -> Save:
    assert job.transcript is not None
    facts = TranscriptFacts(
        id=job.transcript.id,
        ours=job.transcript.ours,
        kept=True,
        language=document.language,
        duration=document.duration,
        blank=not document.text.strip(),
        text_bytes=len(document.text.encode()),
        run=job.run,
        channels=reading.channels,
        speech_model=reading.speech_model,
    )
    structlog.get_logger().info(happened.JOB_TRANSCRIBED, transcript_id=facts.id, duration=facts.duration)
    job = entered(job, Status.TRANSCRIBED, context.now())
    job = job.model_copy(update={"transcript": facts, "trouble": None})
    context.tally.count(PIPELINE_AUDIO, audio_seconds(job), pipeline=job.pipeline)
    return save(job, Status.TRANSCRIBED, context.now(), heard=heard)
