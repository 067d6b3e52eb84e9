"""What a run's prompts see of the speech, from our own documents; of the vendor's, what we did not keep yet."""

import asyncio

from service.domain.asking import prompts
from service.domain.asking.templates import Source
from service.domain.errors import Code, Permanent, Rejected, TranscriptMissing
from service.domain.job import Job
from service.domain.pipeline import Pipeline
from service.domain.results import JSON
from service.domain.speech import Spoken, divided, paragraphs_json, stored_paragraphs, utterances
from service.domain.transcript import Document, Paragraph, stored_transcript
from service.stages.context import Context
from service.stages.vendor import transcription


async def spoken(job: Job, pipeline: Pipeline, context: Context, *, looking: bool = False) -> Spoken:
    """What the pipeline's prompts need of the speech, and the text where requests must bring it along.

    transcript.json is only read where one of them needs it. `looking`: nothing is kept, and the vendor is not asked.
    Raises Permanent when it is gone; as the vendor's calls do; Unavailable.
    """
    # A further run may come when the vendor has it no longer: to find that out would cost a request of the allowance.
    ours = job.forgotten or job.run > 1
    turns, divisions = _uses(pipeline, Source.UTTERANCES), _uses(pipeline, Source.PARAGRAPHS)
    kept = await context.ports.results.get(context.place(job).paragraphs) if divisions else None
    wanted = turns or (divisions and kept is None)
    if not ours and not wanted:
        return Spoken(paragraphs=_told(kept))
    async with context.documents:
        body = await context.ports.results.get(context.place(job).transcript_json)
        if body is None and not job.forgotten and not wanted:
            return Spoken(paragraphs=_told(kept))
        if body is None:
            raise Permanent(Code.TRANSCRIPT_MISSING, "transcript.json is gone from the results")
        document = await asyncio.to_thread(stored_transcript, body)
        if divisions and kept is None:
            kept = paragraphs_json(divided(document)) if looking else await _kept(job, document, context)
        return Spoken(
            utterances=utterances(document, pipeline.speech) if turns else None,
            paragraphs=_told(kept),
            text=document.text if ours else None,
        )


def renders(pipeline: Pipeline) -> bool:
    """Whether one of its prompts uses what is made of our own documents."""
    return _uses(pipeline, Source.UTTERANCES) or _uses(pipeline, Source.PARAGRAPHS)


def _uses(pipeline: Pipeline, source: Source) -> bool:
    return any(prompts.uses(prompt, source) for prompt in pipeline.prompts)


def _told(kept: bytes | None) -> str | None:
    return None if kept is None else stored_paragraphs(kept)


async def _kept(job: Job, document: Document, context: Context) -> bytes:
    """Our paragraphs.json, which stays as it is once it stands, whatever becomes of the vendor's.

    They are the vendor's while it has the transcript, else our own.
    """
    key, results = context.place(job).paragraphs, context.ports.results
    found = await _at_vendor(job, context) or divided(document)
    await results.put_new(key, await asyncio.to_thread(paragraphs_json, found), JSON)
    kept = await results.get(key)
    assert kept is not None
    return kept


async def _at_vendor(job: Job, context: Context) -> tuple[Paragraph, ...]:
    if job.transcript is None or job.forgotten:
        return ()
    try:
        async with transcription(context, "paragraphs"):
            found = await context.ports.renditions.paragraphs(job.transcript.id)
    except (TranscriptMissing, Rejected):
        return ()
    return tuple(each for each in found if each.text.strip())
