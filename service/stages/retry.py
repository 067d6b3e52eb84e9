"""Sending a failed job on its next run: at a person's word, never by itself."""

import structlog

from service.domain import happened
from service.domain.errors import Code, Problem, Refused
from service.domain.job import Job, JobId, Kind, Status
from service.engine.errors import IllegalStep
from service.engine.row import Lane, Row
from service.stages.callback import anew
from service.stages.context import Context
from service.stages.decisions import entered, save
from service.stages.discretion import WORDS, as_asked

TRANSCRIPT_AT_FAULT = frozenset(
    {
        Code.TRANSCRIPTION_FAILED,
        Code.NO_SPEECH,
        Code.SUBMISSION_IN_DOUBT,
        Code.TRANSCRIPT_MISSING,
        # Where these came after the transcript, it may be of what lay there meanwhile, whatever lies there now.
        Code.RECORDING_MISSING,
        Code.RECORDING_REPLACED,
    }
)
"""Ends after which there is no transcript to go on with: the next run submits again.

A refusal is none of them: one of a submission left no transcript, any other left the one that was paid for.
"""


async def retry(row: Row, context: Context, *, repin: bool = False, lane: Lane = Lane.FRESH) -> Row:
    """The failed job, due now, on its next run; answers that earlier runs paid for are used again.

    It keeps the pipeline that it was bound to; `repin` binds it to today's of that name instead.
    Raises Refused when the job has not failed, or its transcript may not be used for that pipeline.
    """
    job = Job.model_validate(row.facts)
    if row.status != Status.FAILED:
        raise Refused([_not_failed(job.id, row.status)])
    status = begins_at(job)
    if repin and status is Status.TRANSCRIBED:
        await _as_discreet(job, context)
    try:
        return await context.ports.table.reopen(
            row.id, status, save(next_run(job, status, context.now(), repin=repin), status, 0.0).facts, lane
        )
    except IllegalStep:
        raise Refused([_not_failed(job.id, "on its way again")]) from None


async def _as_discreet(job: Job, context: Context) -> None:
    """Raises Refused where today's pipeline asks for a redaction that the transcript was made without."""
    pipeline = context.pipelines.get(job.pipeline)
    if pipeline is None or await as_asked(job, pipeline, context):
        return
    cure = "leave --repin out, or have it transcribed anew by `afterword submit --again`"
    raise Refused([Problem(place=job.id, what=WORDS.format(pipeline.name), cure=cure)])


def begins_at(job: Job) -> Status:
    """Where the next run of a failed job begins: at the first stage whose work is not there yet."""
    code = job.verdict.error.code if job.verdict and job.verdict.error else None
    if job.transcript is not None and job.transcript.kept:
        return Status.TRANSCRIBED
    if job.recording.kind is Kind.TRANSCRIPT:
        return Status.SUBMITTED
    if job.transcript is None or job.forgotten or code in TRANSCRIPT_AT_FAULT:
        return Status.RECEIVED
    return Status.SUBMITTED


def next_run(job: Job, status: Status, now: float, *, repin: bool) -> Job:
    """The job's facts at the start of its next run."""
    code = job.verdict.error.code if job.verdict and job.verdict.error else None
    if status is Status.RECEIVED and (job.forgotten or code in {*TRANSCRIPT_AT_FAULT, Code.TRANSCRIPTION_REJECTED}):
        # A person's word: the language is to be detected again too, perhaps by other options.
        job = anew(job).model_copy(update={"fell_back": False})
    failed = job.prompt_failures.values()
    job = job.model_copy(
        update={
            "run": job.run + 1,
            "verdict": None,
            "told": False,
            "trouble": None,
            "prompt_trouble": {},
            "prompt_failures": {},
            "looks": 0,
            # What was not ready in time may be by now.
            "redacted_audio": job.redacted_audio or None,
            "submitted_at": now if status is Status.SUBMITTED else job.submitted_at,
            # What the vendor no longer has is asked about with our own copy.
            "forgotten": job.forgotten or any(each.code is Code.TRANSCRIPT_MISSING for each in failed),
            **({"pipeline_digest": None, "transcript_pin": None} if repin else {}),
        }
    )
    structlog.get_logger().info(happened.JOB_RETRIED, job_id=job.id, run=job.run)
    return entered(job, status, now, f"run {job.run}")


def _not_failed(job_id: JobId, status: str) -> Problem:
    return Problem(
        place=job_id,
        what=f"only failed jobs are retried, and this one is {status}",
        cure="`afterword jobs show` tells what it waits for; new prompts are asked of a published one by "
        "`afterword jobs reanalyze`, and `afterword submit --again` makes a new job",
    )
