"""Rows for what only looks at them."""

from typing import Any

from service.domain.errors import Code
from service.domain.job import Failure, Job, JobId, Kind, Outcome, Recording, Status, Trouble, Verdict
from service.engine.row import Row, RowId

ENDED = {Status.PUBLISHED: Outcome.COMPLETE, Status.FAILED: Outcome.FAILED}
FAILURE = Failure(code=Code.PROMPT_FAILED, message="it was cut off")


def job(key: str, status: Status, *, failure: Failure = FAILURE, trouble: Trouble | None = None) -> Job:
    outcome = ENDED.get(status)
    error = failure if outcome is Outcome.FAILED else None
    return Job(
        id=JobId(key),
        recording=Recording(
            kind=Kind.FILE, uri=f"file:///x/{key}", key=key, name=key, location=key, dropped_at="2026-01-01T00:00:00Z"
        ),
        pipeline="calls",
        trouble=trouble,
        verdict=Verdict(outcome=outcome, at="2026-01-01T00:00:00Z", error=error) if outcome else None,
    )


def row(key: str, status: Status, *, facts: Job | None = None, **more: Any) -> Row:
    """Ended where its status is an end, else due by default."""
    known = {"due_at": None if status in ENDED else 900.0, "created_at": 1.0, "updated_at": 2.0, **more}
    whole = facts or job(key, status)
    return Row(id=RowId(key), status=status, facts=whole.model_dump(mode="json"), **known)
