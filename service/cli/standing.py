"""One recording as the screen shows it, and what it waits for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from service.cli.figures import count, when
from service.domain.errors import Code, Gate
from service.domain.job import Job, Status
from service.domain.masking import told
from service.domain.models.allowance import model_of
from service.domain.use.limits import limited
from service.engine.row import Row
from service.ports.store import Closed

DOING: Final[Mapping[str, str]] = MappingProxyType(
    {
        Status.RECEIVED: "submitting",
        Status.SUBMITTED: "transcribing",
        Status.TRANSCRIBED: "asking prompts",
        Status.DECIDED: "publishing",
        Status.PUBLISHED: "published",
        Status.FAILED: "failed",
    }
)
STAGES: Final = (Status.RECEIVED, Status.SUBMITTED, Status.TRANSCRIBED, Status.DECIDED)
"""What is done one after the other, by the status that a job has meanwhile."""

CURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        Gate.TRANSCRIPTION: "mend ASSEMBLYAI_API_KEY and start the service again",
        Gate.BALANCE: "top up the AssemblyAI account (or mend its key and restart); the work goes on by itself",
        Gate.GATEWAY: "see that the account has a balance and may use the LLM Gateway; the work goes on by itself",
    }
)

AWAITED: Final[Mapping[str, str]] = MappingProxyType(
    {
        Status.SUBMITTED: "AssemblyAI's callback; without one the service asks by itself",
        Status.TRANSCRIBED: "the next try of a prompt",
        Status.DECIDED: "redacted audio, which AssemblyAI has not ready yet; in the end the event goes without it",
    }
)
"""What a job without trouble waits for that has nothing to tell yet."""

RAISED: Final = "raise `monthly_limit` and start the service again, or wait for the next month"

MENDED_BY_PIPELINES: Final = frozenset(
    {
        Code.NO_SPEECH,
        Code.TRANSCRIPTION_REJECTED,
        Code.PROMPT_REJECTED,
        Code.PROMPT_TRUNCATED,
        Code.PROMPT_BLOCKED,
        Code.PROMPT_TOO_LONG,
    }
)
"""Codes that come again with the same pipeline."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where one recording is. `done` of the four STAGES are behind it; `more` is said beside `doing`."""

    id: str
    name: str
    doing: str
    more: str
    done: int
    ended: bool
    failed: bool
    since: float


def standing(row: Row) -> Standing:
    """What a row says of its recording."""
    job = facts(row)
    failed = row.status == Status.FAILED
    done = STAGES.index(Status(row.status)) if row.status in STAGES else len(STAGES)
    return Standing(
        id=row.id,
        name=job.recording.key if job else row.id,
        doing=DOING.get(row.status, row.status),
        more=_more(row, job),
        done=done,
        ended=row.ended,
        failed=failed,
        since=row.created_at,
    )


def cure_of(gate: str) -> str | None:
    """What a person does about a shut gate."""
    return RAISED if limited(gate) else CURES.get(gate)


def facts(row: Row) -> Job | None:
    """None for facts that a newer version wrote."""
    try:
        return Job.model_validate(row.facts)
    except ValidationError:
        return None


def _more(row: Row, job: Job | None) -> str:
    if job is None:
        return "written by a newer version"
    if job.verdict is not None and row.ended:
        error = job.verdict.error
        return told(f"{error.code}: {error.message}") if error else job.verdict.skipped or job.verdict.outcome
    if (place := _place(row)) is not None:
        return place
    if job.trouble is not None:
        return told(f"trying again: {job.trouble.last}")
    return f"run {job.run}" if job.run > 1 else ""


def _place(row: Row) -> str | None:
    """Where it waits, if it waits for more than its time."""
    if limited(row.parked):
        return "waits for the next month: its pipeline has reached its limit"
    if row.parked:
        return f"waits for the account ({row.parked})"
    return f"waits for its turn at {model_of(row.queue)}" if row.queue else None


@dataclass(frozen=True, kw_only=True)
class Waits:
    """What a job waits for, until when at the latest (epoch seconds), and what sends it on, if that takes a person."""

    what: str
    until: float | None
    send_on: str | None


def waits(row: Row, closed: Sequence[Closed], now: float) -> Waits:
    """Why nothing happens with a row at the moment."""
    job = facts(row)
    if job is None:
        return Waits(what="a service of the version that wrote it", until=None, send_on="upgrade this one")
    if row.ended:
        return _ended(row, job)
    gate = next((each for each in closed if each.gate == row.parked), None)
    if gate is not None:
        return _at(gate, row, now)
    if row.lease_until > now:
        return Waits(what=f"nothing: a worker is at it ({DOING[row.status]})", until=row.lease_until, send_on=None)
    due = max(row.due_at or now, row.claimable_at)
    if due <= now:
        return Waits(what="a worker", until=None, send_on="`afterword serve`, if no service is running")
    return Waits(what=_reason(row, job), until=due, send_on=None)


def _at(gate: Closed, row: Row, now: float) -> Waits:
    if limited(gate.gate):
        return Waits(what=f"the next month: {gate.reason}", until=row.due_at, send_on=RAISED)
    what = f"the account's trouble, since {when(gate.since, now)}: {told(gate.reason).rstrip('.')}"
    return Waits(what=what, until=gate.next_probe_at, send_on=CURES.get(gate.gate))


def _reason(row: Row, job: Job) -> str:
    if row.queue:
        return f"its turn at {model_of(row.queue)}, whose allowance is spent ({count(row.wants, 'request')} to make)"
    if job.trouble is not None:
        return told(f"the next try, after {job.trouble.attempts} that failed: {job.trouble.last}")
    if row.claims > 1:
        return f"its turn again, after {row.claims} workers came no further with it"
    return "its due time" if job.told else AWAITED.get(row.status, "its due time")


def _ended(row: Row, job: Job) -> Waits:
    if row.status != Status.FAILED:
        return Waits(what="nothing", until=None, send_on=None)
    code = _cause(job)
    command = f"afterword jobs retry {row.id}"
    if code is Code.SUBMISSION_IN_DOUBT:
        command += " (see first in AssemblyAI's dashboard that it was not transcribed: it would be paid again)"
    elif code in MENDED_BY_PIPELINES:
        command += " --repin (mend pipelines.toml first, and start the service again)"
    return Waits(what="a person: it has failed", until=None, send_on=command)


def _cause(job: Job) -> Code | None:
    """The run's code, or what is behind it where a prompt failed."""
    code = job.verdict.error.code if job.verdict and job.verdict.error else None
    if code is not Code.PROMPT_FAILED:
        return code
    causes = {failure.code for failure in job.prompt_failures.values()}
    return next((each for each in sorted(causes) if each in MENDED_BY_PIPELINES), code)
