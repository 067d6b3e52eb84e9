"""A job as people see it: what the jobs API and the commands show.

Nothing that opens anything: no location of a recording's bytes, no URL that was sent to the vendor, no transcript text.
"""

from collections.abc import Mapping

from pydantic import ValidationError

from service.domain.job import Job, Trouble
from service.domain.masking import told
from service.domain.times import rfc3339
from service.engine.row import Row


def view(row: Row) -> dict[str, object]:
    """JSON's own types only; times are RFC 3339 in UTC. Facts that another version wrote are left out."""
    shown: dict[str, object] = {
        "id": row.id,
        "status": row.status,
        "lane": row.lane.value,
        "created_at": rfc3339(row.created_at),
        "updated_at": rfc3339(row.updated_at),
        "due_at": _time(row.due_at),
        "leased_until": _time(row.lease_until or None),
        "parked": row.parked,
        "queue": row.queue,
        "callbacks": row.callbacks,
        "claims_without_progress": row.claims,
        "transcript_id": row.subject,
    }
    try:
        job = Job.model_validate(row.facts)
    except ValidationError:
        return shown | {"readable": False}
    return shown | {"readable": True} | _facts(job, row)


def _facts(job: Job, row: Row) -> dict[str, object]:
    recording, verdict, transcript = job.recording, job.verdict, job.transcript
    return {
        "recording": {
            "kind": recording.kind.value,
            "uri": recording.uri,
            "key": recording.key,
            "name": recording.name,
            "size": recording.size,
            "dropped_at": recording.dropped_at,
            "metadata": dict(recording.metadata),
        },
        "pipeline": job.pipeline,
        "pipeline_digest": job.pipeline_digest,
        "run": job.run,
        "submitted_at": _time(job.submitted_at),
        "transcript_id": transcript.id if transcript else row.subject,
        "language": transcript.language if transcript else None,
        "duration": transcript.duration if transcript else None,
        "trouble": _trouble(job.trouble) if job.trouble else None,
        "prompt_trouble": {name: _trouble(trouble) for name, trouble in job.prompt_trouble.items()},
        "prompt_failures": _errors(job),
        "verdict": verdict.model_dump(mode="json") if verdict else None,
        "timeline": [moment.model_dump(mode="json") | {"at": rfc3339(moment.at)} for moment in job.timeline],
    }


def _errors(job: Job) -> Mapping[str, object]:
    return {name: failure.model_dump(mode="json") for name, failure in job.prompt_failures.items()}


def _trouble(trouble: Trouble) -> dict[str, object]:
    return {"attempts": trouble.attempts, "since": rfc3339(trouble.since), "last": told(trouble.last)}


def _time(epoch: float | None) -> str | None:
    return None if epoch is None else rfc3339(epoch)
