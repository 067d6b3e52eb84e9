"""Whether a transcript is as discreet as a pipeline asks: one that was made without its redaction is not for it."""

from typing import Final

from service.domain.errors import Code, Permanent
from service.domain.job import Job, NotUnderstood
from service.domain.pipeline import Pipeline
from service.domain.pipelines.transcript_options import as_discreet, redacts
from service.domain.transcript import Reading
from service.stages.context import Context

WORDS: Final = "its transcript was made without the redaction that pipeline {} asks for"


async def as_asked(job: Job, pipeline: Pipeline, context: Context) -> bool:
    """Whether all that the pipeline would have taken out is taken out of the transcript that lies with the results.

    Of a transcript that is not ours we only know that it was looked at for the pipeline that it was first used for.
    """
    if not redacts(pipeline.transcript):
        return True
    made_by = job.transcript_pin or job.pipeline_digest
    if made_by is None:
        return False
    try:
        made = await context.pinned(made_by)
    except NotUnderstood:
        return False
    return as_discreet(made.transcript, pipeline.transcript)


async def taken_as_it_is(job: Job, reading: Reading, context: Context) -> None:
    """Returns if the transcript, by whomever it was made, may be used for the job's pipeline. Raises Permanent."""
    if reading.redacted or (job.transcript is not None and job.transcript.ours):
        return
    pipeline = await context.pipeline_of(job)
    if pipeline is not None and redacts(pipeline.transcript):
        raise Permanent(Code.NOT_REDACTED, WORDS.format(pipeline.name))
