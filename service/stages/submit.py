"""received → submitted: bring the recording to the vendor, and never pay for it twice."""

from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from service.domain import happened
from service.domain.callbacks import address
from service.domain.errors import (
    Code,
    Gate,
    OutcomeUnknown,
    Permanent,
    Rejected,
    ServiceError,
    Throttled,
    Unavailable,
)
from service.domain.job import Intent, Job, Kind, Status, TranscriptFacts, TranscriptId, Uploaded
from service.domain.pipeline import Pipeline, digest, to_json
from service.domain.pipelines.transcript_options import in_language
from service.domain.retry import GiveUp, counted
from service.domain.tally import PAID_IN_DOUBT
from service.domain.tokens import HEADER, key_id, token
from service.domain.transcript import Reading
from service.engine.errors import OwnedByAnother
from service.engine.hold import Hold
from service.engine.row import Lane, Save
from service.stages import adopt
from service.stages.context import Context
from service.stages.decisions import entered, save
from service.stages.limits import within_limit
from service.stages.vendor import transcription

BACKFILL_AT_VENDOR: Final = 400
"""The vendor's own queue is first in, first out: more backfill there would stand before what arrives fresh."""
ROOM_ASKED: Final = 20.0
"""How often a second all waiting backfill together asks whether there is room: more often than room comes free."""
SHORTEST_REST: Final = 10.0
UPLOAD_KEPT: Final = 12 * 3600.0
"""Seconds that an upload is used again (vendor API reference: uploads are kept for at least a day)."""
LEAST_TIME: Final = 0.5
"""A submission is not begun with less of the lease left than this, in seconds."""
OF_THE_LEASE: Final = 0.8
"""The part of what is left of the lease that a submission may take, so that it ends before another may claim."""
UNASKED_LOOK: Final = 3.0
"""Seconds until the first look at a transcript that nobody will call back about."""
SEARCH_SOON: Final = 0.5
IN_DOUBT: Final = (
    "a submission was sent and its answer never seen, and without a callback nothing can prove whether it happened; "
    "`afterword jobs retry` submits again, `afterword submit transcript:ID` takes a transcript that you find there"
)


async def submit(hold: Hold, job: Job, context: Context) -> Save:
    """One step of a job that is not known to be at the vendor.

    Raises what the vendor's calls raise; an unknown outcome is a decision (search for it), not an error.
    """
    heard = hold.row.callbacks
    found = await _adopted(hold, job, await adopt.noted(job, context), context)
    if found is not None:
        return found
    if job.intent is not None:
        return await _searched(hold, job, job.intent, heard, context)
    return await _sent(hold, job, heard, context)


async def _searched(hold: Hold, job: Job, intent: Intent, heard: int, context: Context) -> Save:
    """Look for the orphan; only a search begun after the whole adoption window may clear the way for another try."""
    begun = context.now()
    found = await _adopted(hold, job, await adopt.listed(job, intent, context), context)
    if found is not None:
        return found
    window_ends = intent.at + context.terms.adopt_within
    if begun < window_ends:
        pause = max(context.terms.adopt_within / 10, 0.5)
        return save(job, Status.RECEIVED, min(context.now() + pause, max(window_ends, context.now())), heard=heard)
    _patient(job, context)
    if intent.webhook_url is None and not adopt.has_own_audio_url(job, intent):
        # Nothing can prove whether this happened, and another submission might be paid twice: a person decides.
        context.tally.count(PAID_IN_DOUBT)
        raise Permanent(Code.SUBMISSION_IN_DOUBT, IN_DOUBT)
    structlog.get_logger().warning(happened.JOB_RESUBMITTED, reason="no trace of the first submission")
    cleared = entered(job, Status.RECEIVED, context.now(), "no trace of the submission at the vendor: submitting again")
    return save(cleared.model_copy(update={"intent": None}), Status.RECEIVED, context.now(), heard=heard)


def _patient(job: Job, context: Context) -> None:
    """Raises Permanent once submissions have come to nothing for longer than our patience."""
    if job.trouble is None:
        return
    last = OutcomeUnknown(job.trouble.last)
    match context.terms.retry.decide(last, job.trouble, now=context.now(), rand=0.0):
        case GiveUp(failure=failure):
            raise Permanent(failure.code, failure.message)


async def _adopted(hold: Hold, job: Job, candidates: Sequence[Reading], context: Context) -> Save | None:
    """The first candidate that no other job owns becomes this job's transcript; further ones were paid for nothing."""
    for index, reading in enumerate(candidates):
        doubles = tuple(double.id for double in candidates[index + 1 :])
        adopted = _submitted(job, reading.id, context, "found at the vendor")
        adopted = adopted.model_copy(update={"doubles": (*job.doubles, *doubles)})
        try:
            await hold.save(save(adopted, Status.SUBMITTED, context.now(), keep_lease=True, owns=reading.id))
        except OwnedByAnother:
            continue
        context.tally.count(PAID_IN_DOUBT, len(doubles))
        structlog.get_logger().info(happened.JOB_ADOPTED, transcript_id=reading.id, doubles=len(doubles))
        return save(adopted, Status.SUBMITTED, context.now())
    return None


async def _sent(hold: Hold, job: Job, heard: int, context: Context) -> Save:
    pipeline = await _pipeline(job, context)
    await within_limit(job.pipeline, context)
    await _room_at_vendor(hold, context)
    before = job.uploaded
    job, audio_url = await _brought(hold, job, context)
    try:
        async with transcription(context, "submit", Gate.BALANCE):
            job = await _intended(hold, job, pipeline, audio_url, context)
            transcript_id = await _posted(hold, job, pipeline, context)
    except OutcomeUnknown as unknown:
        structlog.get_logger().warning(happened.JOB_WAITING, reason="submitted, answer not seen", error=unknown.message)
        doubted = job.model_copy(update={"trouble": counted(unknown, job.trouble, now=context.now())})
        return save(doubted, Status.RECEIVED, context.now() + SEARCH_SOON, heard=heard)
    except ServiceError as error:
        # A clear refusal: nothing was started, so there is nothing to search for.
        refused = job.model_copy(update={"intent": None})
        if isinstance(error, Rejected) and job.uploaded is not None and job.uploaded == before:
            # An upload of some time ago may belong to another key by now, or be gone: it is made anew, once.
            return save(refused.model_copy(update={"uploaded": None}), Status.RECEIVED, context.now(), heard=heard)
        if job.intent is not None:
            await hold.save(save(refused, Status.RECEIVED, context.now(), keep_lease=True))
        raise
    structlog.get_logger().info(happened.JOB_SUBMITTED, transcript_id=transcript_id, pipeline=job.pipeline)
    first_look = context.terms.reconcile_after if context.terms.public_url else UNASKED_LOOK
    return save(
        _submitted(job, transcript_id, context, None),
        Status.SUBMITTED,
        context.now() + first_look,
        heard=heard,
        owns=transcript_id,
    )


async def _pipeline(job: Job, context: Context) -> Pipeline:
    """The pipeline whose transcript options are pinned, or, before the first intent, today's of that name."""
    if job.transcript_pin is not None:
        return await context.pinned(job.transcript_pin)
    pipeline = context.pipelines.get(job.pipeline)
    if pipeline is None:
        raise Permanent(Code.PIPELINE_MISSING, f"the pipelines file has no pipeline {job.pipeline!r} any more")
    return pipeline


async def _room_at_vendor(hold: Hold, context: Context) -> None:
    """Raises Throttled for backfill while as much of it as allowed is at the vendor."""
    if hold.row.lane is not Lane.BACKFILL:
        return
    counts = await context.ports.jobs.counts()
    there = sum(count.rows for count in counts if count.status == Status.SUBMITTED and count.lane == Lane.BACKFILL)
    if context.room.there(there) >= BACKFILL_AT_VENDOR:
        waiting = sum(count.rows for count in counts if count.status == Status.RECEIVED and count.lane == Lane.BACKFILL)
        # All who wait ask so often together, however many they are: each question is two writes and a count.
        pause = max(SHORTEST_REST, waiting / ROOM_ASKED) * context.random.uniform(0.5, 1.5)
        raise Throttled("as much backfill as allowed is at the vendor", retry_after=pause)
    context.room.sent()


async def _brought(hold: Hold, job: Job, context: Context) -> tuple[Job, str]:
    """The job, and an audio URL that the vendor can read.

    A file is uploaded, once, as it was announced; an object as well where that is asked for, else it is lent by a URL
    that is made afresh for each submission.
    """
    kind = job.recording.kind
    if kind is Kind.OBJECT and context.terms.audio == "presign":
        return job, await context.ports.recordings.url(job.recording, job.id)
    if kind not in {Kind.FILE, Kind.OBJECT}:
        return job, job.recording.location
    if job.uploaded is not None and context.now() - job.uploaded.at < UPLOAD_KEPT:
        return job, job.uploaded.url
    async with transcription(context, "upload"), context.ports.recordings.open(job.recording) as sound:
        url = await context.ports.transcriber.upload(sound.chunks(), sound.size)
    job = job.model_copy(update={"uploaded": Uploaded(at=context.now(), url=url)})
    await hold.save(save(job, Status.RECEIVED, context.now(), keep_lease=True))
    return job, url


async def _intended(hold: Hold, job: Job, pipeline: Pipeline, audio_url: str, context: Context) -> Job:
    """The job with the submission on record that is about to be made."""
    document_digest = digest(pipeline)
    await context.ports.pins.pin(document_digest, to_json(pipeline))
    public_url = context.terms.public_url
    webhook_url = address(public_url, job.id) if public_url else None
    secret = context.terms.secret if webhook_url else None
    signed_by = key_id(secret) if secret else None
    intent = Intent(at=context.now(), audio_url=audio_url, webhook_url=webhook_url, signed_by=signed_by)
    job = job.model_copy(update={"intent": intent, "transcript_pin": document_digest})
    await hold.save(save(job, Status.RECEIVED, context.now(), keep_lease=True))
    return job


async def _posted(hold: Hold, job: Job, pipeline: Pipeline, context: Context) -> TranscriptId:
    """Never cancelled: a submission cut off in the middle is one whose outcome nobody knows."""
    request = _request(job, pipeline, context.terms.secret)
    with hold.shielded():
        left = await hold.renew()
        if left < LEAST_TIME:
            raise Unavailable("too little of the lease is left for a submission")
        return await context.ports.transcriber.submit(request, within=left * OF_THE_LEASE)


def _request(job: Job, pipeline: Pipeline, secret: str | None) -> Mapping[str, object]:
    assert job.intent is not None
    options, fallback = pipeline.transcript, pipeline.speech.fallback_language
    if job.fell_back and fallback is not None:
        options = in_language(options, fallback)
    request: dict[str, object] = {**options, "audio_url": job.intent.audio_url}
    if job.intent.webhook_url is not None and secret is not None:
        request["webhook_url"] = job.intent.webhook_url
        request["webhook_auth_header_name"] = HEADER
        request["webhook_auth_header_value"] = token(secret, job.id)
    return request


def _submitted(job: Job, transcript_id: TranscriptId, context: Context, note: str | None) -> Job:
    now = context.now()
    job = entered(job, Status.SUBMITTED, now, note)
    facts = TranscriptFacts(id=transcript_id, ours=True)
    intent, since = job.intent, job.intent.at if job.intent else now
    if intent is not None and job.recording.kind is Kind.OBJECT and not adopt.is_upload(job, intent):
        # It opens the recording to whoever reads it, and there is nothing left to be found by it.
        intent = intent.model_copy(update={"audio_url": intent.audio_url.partition("?")[0]})
    update = {"transcript": facts, "intent": intent, "submitted_at": since, "trouble": None, "looks": 0}
    return job.model_copy(update=update)
