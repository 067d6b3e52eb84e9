"""Finding the transcript of a submission whose answer we never saw, before anything is submitted again."""

from collections.abc import Sequence
from typing import Final

from service.domain.errors import Code, Permanent, TranscriptMissing
from service.domain.job import Intent, Job, JobId, Kind, TranscriptId
from service.domain.transcript import Reading, State
from service.stages.context import Context
from service.stages.vendor import polled, read, recent

CLOCKS_APART: Final = 60.0
"""Seconds that the vendor's clock may be off ours when its list is paged back to an intent's time."""
PAGES_AT_MOST: Final = 50
TOO_FAR_BACK: Final = (
    "a submission was sent and its answer never seen, and so much was transcribed since that it was not found again; "
    "`afterword jobs retry` submits again, `afterword submit transcript:ID` takes a transcript that you find there"
)

_RANK: Final = {State.COMPLETED: 0, State.PROCESSING: 1, State.QUEUED: 1, State.ERROR: 2}


def names_job(webhook_url: str | None, job_id: JobId) -> bool:
    """Whether the transcript calls back to this very job."""
    return webhook_url is not None and webhook_url.partition("?")[0].endswith(f"/callbacks/{job_id}")


def is_ours(reading: Reading, job: Job) -> bool:
    """Whether a transcript is proven to come from this job's submission.

    Its webhook names the job; with an intent on record, it is the very URL that was sent. Without a webhook an audio
    URL that only this job has (an upload, a presigned URL) is the proof.
    """
    if reading.deleted or reading.id in job.spent or reading.id in job.doubles:
        return False
    intent = job.intent
    if intent is None:
        return names_job(reading.webhook_url, job.id)
    if intent.webhook_url is not None:
        return reading.webhook_url == intent.webhook_url
    return reading.audio_url == intent.audio_url and has_own_audio_url(job, intent)


def has_own_audio_url(job: Job, intent: Intent) -> bool:
    """Whether no other job can have sent this audio URL; a presigned one names the job that it was made for."""
    return job.recording.kind is Kind.OBJECT or is_upload(job, intent)


def is_upload(job: Job, intent: Intent) -> bool:
    """Whether the vendor was given bytes that we read ourselves, and compared with what was announced."""
    return job.uploaded is not None and job.uploaded.url == intent.audio_url


def best_first(readings: Sequence[Reading]) -> Sequence[Reading]:
    """Of several candidates the completed first, then the running, then the failed."""
    return sorted(readings, key=lambda reading: _RANK[reading.state])


async def noted(job: Job, context: Context) -> Sequence[Reading]:
    """The candidates among the transcripts that callbacks named for this job."""
    candidates = []
    for transcript_id in await context.ports.pins.notes(job.id):
        if transcript_id in job.spent:
            continue
        reading = await _candidate(transcript_id, job, context)
        if reading is not None:
            candidates.append(reading)
    return best_first(candidates)


async def listed(job: Job, intent: Intent, context: Context) -> Sequence[Reading]:
    """The candidates in the vendor's list, paged back past the time of the intent."""
    candidates = []
    before: TranscriptId | None = None
    for _ in range(PAGES_AT_MOST):
        await polled(context)
        page = await recent(context, before)
        for item in page:
            if item.audio_url == intent.audio_url and item.created >= intent.at - CLOCKS_APART:
                reading = await _candidate(item.id, job, context)
                if reading is not None:
                    candidates.append(reading)
        if not page or page[-1].created < intent.at - CLOCKS_APART:
            break
        before = page[-1].id
    else:
        if not candidates:
            # The end was not reached, so nothing says that there is none; another submission might be paid twice.
            raise Permanent(Code.SUBMISSION_IN_DOUBT, TOO_FAR_BACK)
    return best_first(candidates)


async def _candidate(transcript_id: TranscriptId, job: Job, context: Context) -> Reading | None:
    try:
        reading = await read(context, transcript_id)
    except TranscriptMissing:
        return None
    return reading if is_ours(reading, job) else None
