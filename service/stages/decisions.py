"""From a job to what is saved of it: pure."""

from typing import Final

from service.domain.job import Failure, Job, Moment, Outcome, Status, Verdict
from service.domain.times import rfc3339
from service.engine.row import Save

MOMENTS_KEPT: Final = 40


def entered(job: Job, status: Status, now: float, note: str | None = None) -> Job:
    """The job with a line more on its timeline; the first line is never dropped."""
    moment = Moment(at=now, run=job.run, status=status, note=note)
    timeline = (*job.timeline, moment)
    if len(timeline) > MOMENTS_KEPT:
        timeline = (timeline[0], *timeline[-(MOMENTS_KEPT - 1) :])
    return job.model_copy(update={"timeline": timeline})


def save(
    job: Job,
    status: Status,
    due_at: float | None,
    *,
    keep_lease: bool = False,
    heard: int = 0,
    parked: str | None = None,
    queue: str | None = None,
    wants: int = 0,
    owns: str | None = None,
) -> Save:
    """The job's facts as a decision for the engine."""
    subject = job.transcript.id if job.transcript else None
    return Save(
        status=status,
        facts=job.model_dump(mode="json", exclude_defaults=True),
        due_at=due_at,
        keep_lease=keep_lease,
        heard=heard,
        subject=subject,
        parked=parked,
        queue=queue,
        wants=wants,
        owns=owns,
        names=(subject,) if subject else (),
    )


def decided(
    job: Job, now: float, outcome: Outcome, *, error: Failure | None = None, skipped: str | None = None
) -> Save:
    """The verdict of this run, on the row before anybody is told."""
    verdict = Verdict(outcome=outcome, at=rfc3339(now), error=error, skipped=skipped)
    note = f"{error.code}: {error.message}" if error else skipped or outcome.value
    job = entered(job, Status.DECIDED, now, note)
    job = job.model_copy(update={"verdict": verdict, "trouble": None})
    return save(job, Status.DECIDED, now)
