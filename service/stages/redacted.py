"""The recording without what was redacted: fetched while the vendor has it, and kept with the results."""

import asyncio
from typing import Final

import structlog

from service.domain import happened
from service.domain.errors import Permanent, StorageTrouble, Transient
from service.domain.job import Job
from service.domain.pipeline import Pipeline
from service.domain.pipelines.transcript_options import redacted_audio
from service.domain.results import AUDIO
from service.domain.times import epoch
from service.stages.context import Context
from service.stages.gates import Parked
from service.stages.vendor import polled, transcription

PATIENCE: Final = 600.0
"""Seconds after the verdict for which its event waits for the audio."""
AT_ONCE: Final = 20.0
"""Seconds that prompts wait for audio that is ready; what is longer on its way, the event waits for."""
FIRST_LOOK: Final = 3.0
LAST_LOOK: Final = 30.0
"""The shortest and the longest pause between two looks."""


async def kept_at_once(job: Job, pipeline: Pipeline, context: Context) -> Job:
    """The job with its audio among the results, if it is ready now. Trouble holds up no prompt: it is tried again."""
    if _form(job, pipeline) is None:
        return job
    try:
        async with asyncio.timeout(AT_ONCE):
            return await _kept(job, pipeline, context)
    except (Transient, Parked, TimeoutError):
        return job


async def awaited(job: Job, pipeline: Pipeline | None, context: Context, *, called: bool) -> tuple[Job, float]:
    """The job, and the seconds until the next look for audio that its event still waits for; 0: it waits no longer.

    `called`: the vendor called back since the last look. Raises what the vendor's calls raise, while there is time.
    """
    if pipeline is None or _form(job, pipeline) is None:
        return job, 0.0
    assert job.verdict is not None
    waited = context.now() - epoch(job.verdict.at)
    try:
        if not called:
            await polled(context, patient=waited > PATIENCE)
        job = await _kept(job, pipeline, context)
    except StorageTrouble:
        raise
    except (Transient, Parked) as trouble:
        if waited <= PATIENCE:
            raise
        return _missed(job, str(trouble)), 0.0
    if job.redacted_audio is not None:
        return job, 0.0
    if waited > PATIENCE:
        return _missed(job, "the vendor did not have it ready in time"), 0.0
    return job, min(max(waited / 2, FIRST_LOOK), LAST_LOOK)


def _form(job: Job, pipeline: Pipeline) -> str | None:
    """The form of the audio that may still come; None: there is nothing to wait for."""
    facts = job.transcript
    if job.redacted_audio is not None or job.forgotten or facts is None or not facts.kept:
        return None
    return redacted_audio(pipeline.transcript, blank=facts.blank)


async def _kept(job: Job, pipeline: Pipeline, context: Context) -> Job:
    """The job as it is where the vendor is not ready."""
    form = _form(job, pipeline)
    assert form is not None
    assert job.transcript is not None
    renditions, results, key = context.ports.renditions, context.ports.results, context.place(job).redacted_audio(form)
    try:
        if not await results.has(key):
            async with transcription(context, "redacted_audio"):
                url = await renditions.redacted_audio(job.transcript.id)
            if url is None:
                return job
            async with renditions.sound(url) as pieces:
                await results.put_new_stream(key, pieces, AUDIO[form])
    except Permanent as error:
        return _missed(job, error.message)
    structlog.get_logger().info(happened.AUDIO_KEPT, transcript_id=job.transcript.id)
    return job.model_copy(update={"redacted_audio": True})


def _missed(job: Job, reason: str) -> Job:
    structlog.get_logger().warning(happened.AUDIO_MISSED, reason=reason)
    return job.model_copy(update={"redacted_audio": False})
