"""A job: one recording on its way to one event a run. These are the facts that travel in a row of the table."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NewType

from pydantic import BaseModel, ConfigDict, ValidationError

from service.domain.errors import Code
from service.domain.use.usage import Usage
from service.engine.rules import Steps

JobId = NewType("JobId", str)
TranscriptId = NewType("TranscriptId", str)


class Status(StrEnum):
    """Where a job stands; the status alone says what happens next."""

    RECEIVED = "received"
    SUBMITTED = "submitted"
    TRANSCRIBED = "transcribed"
    DECIDED = "decided"
    PUBLISHED = "published"
    FAILED = "failed"


STEPS: Final = Steps(
    following=MappingProxyType(
        {
            Status.RECEIVED: frozenset({Status.RECEIVED, Status.SUBMITTED, Status.DECIDED}),
            # Back to received: the vendor's own failure of a transcript that it never billed is submitted anew.
            Status.SUBMITTED: frozenset({Status.SUBMITTED, Status.TRANSCRIBED, Status.RECEIVED, Status.DECIDED}),
            Status.TRANSCRIBED: frozenset({Status.TRANSCRIBED, Status.DECIDED}),
            Status.DECIDED: frozenset({Status.DECIDED, Status.PUBLISHED, Status.FAILED}),
            Status.PUBLISHED: frozenset(),
            Status.FAILED: frozenset(),
        }
    ),
    # Of a job that is transcribed a callback can tell nothing new: it is counted and changes no due time. One whose
    # verdict stands may wait for redacted audio, and be told that it is ready.
    listening=frozenset({Status.RECEIVED, Status.SUBMITTED, Status.DECIDED}),
    reopening=MappingProxyType(
        {
            Status.FAILED: frozenset({Status.RECEIVED, Status.SUBMITTED, Status.TRANSCRIBED}),
            Status.PUBLISHED: frozenset({Status.TRANSCRIBED}),
        }
    ),
)


class Kind(StrEnum):
    """Where a recording's sound comes from."""

    FILE = "file"
    OBJECT = "object"
    """An object in S3."""
    URL = "url"
    TRANSCRIPT = "transcript"
    """There is no sound: the transcript exists already and is not ours to bill, adopt or delete."""


class Outcome(StrEnum):
    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


class Fact(BaseModel):
    """Frozen, evolved by copy; unknown fields are refused so that no replica drops what a newer one wrote."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Recording(Fact):
    """What was dropped, as it was announced.

    `uri` is fit to be told (no user, no query); `location` is where the bytes are (an absolute path, a bucket, a whole
    URL, a transcript id) and stays inside. `digest` is the content's SHA-256 in hex for files; `etag` (bare, without
    quotes) and, where the bucket keeps versions, `version` are an object's. `size` is in bytes. `dropped_at` is
    RFC 3339, UTC.
    """

    kind: Kind
    uri: str
    key: str
    name: str
    location: str
    size: int | None = None
    version: str | None = None
    digest: str | None = None
    etag: str | None = None
    dropped_at: str
    metadata: Mapping[str, str] = {}


class Intent(Fact):
    """A submission that we are about to make, or made without seeing the answer. `at`: epoch seconds.

    `signed_by` names the secret that the callback's token was made with (tokens.key_id).
    """

    at: float
    audio_url: str
    webhook_url: str | None
    signed_by: str | None = None


class Uploaded(Fact):
    """A recording that lies at the vendor under a URL only the vendor can read. `at`: epoch seconds."""

    at: float
    url: str


class TranscriptFacts(Fact):
    """What later stages need of a transcript without reading it. `duration` in whole seconds.

    `ours`: we submitted it, and may delete it. `kept`: its documents lie with the results. `text_bytes`: the length of
    its text in UTF-8; None: not known. `run` is the run in which it was done. `channels` and `speech_model` are what it
    is billed by, as far as the vendor told.
    """

    id: TranscriptId
    ours: bool
    kept: bool = False
    language: str | None = None
    duration: int | None = None
    blank: bool = False
    text_bytes: int | None = None
    run: int = 1
    channels: int = 1
    speech_model: str | None = None


class Failure(Fact):
    """Why something ended without success: a documented code and words fit for an event.

    `usage` is what a prompt took that has no answer all the same: a refused answer is billed.
    """

    code: Code
    message: str
    request_id: str | None = None
    usage: Usage | None = None


class Verdict(Fact):
    """How a run ended, fixed before anybody is told. `at` is RFC 3339, UTC."""

    outcome: Outcome
    at: str
    error: Failure | None = None
    skipped: str | None = None


class Trouble(Fact):
    """What is being retried: how often it failed in a row, since when (epoch seconds), and the last words about it.

    `unknown` of the attempts may have been carried out, and billed.
    """

    attempts: int
    since: float
    last: str
    unknown: int = 0


class Moment(Fact):
    """A line of a job's timeline. `at`: epoch seconds."""

    at: float
    run: int
    status: Status
    note: str | None = None


class Job(Fact):
    """The facts of one job. `pipeline` is the name it was matched to; the pins are digests of pipelines stored once."""

    id: JobId
    recording: Recording
    pipeline: str
    run: int = 1
    submitted_at: float | None = None
    transcript_pin: str | None = None
    """The pipeline whose transcript options were sent, from the intent on."""
    pipeline_digest: str | None = None
    """The pipeline whose prompts are asked, from before the first request on."""
    uploaded: Uploaded | None = None
    intent: Intent | None = None
    spent: tuple[TranscriptId, ...] = ()
    """Transcripts of ours that the vendor failed (and did not bill); never adopted again."""
    doubles: tuple[TranscriptId, ...] = ()
    """Transcripts that were made beside the one that we go on with: paid for nothing, and to be forgotten with it."""
    transcript: TranscriptFacts | None = None
    fell_back: bool = False
    """The vendor could not detect the language and is told the one that the pipeline falls back to."""
    redacted_audio: bool | None = None
    """Whether the redacted audio lies with the results; None: it may still come, or none was asked for."""
    looks: int = 0
    """How often the vendor was asked about the transcript without having called back."""
    trouble: Trouble | None = None
    prompt_trouble: Mapping[str, Trouble] = {}
    prompt_failures: Mapping[str, Failure] = {}
    """Prompts of this run that cannot be answered; an error is never stored as an answer."""
    verdict: Verdict | None = None
    told: bool = False
    """The run's event is out; what remains is to have the vendor forget the transcript."""
    forgotten: bool = False
    """The vendor has the transcript no longer: what is asked now brings the text along."""
    timeline: tuple[Moment, ...] = ()


class NotUnderstood(Exception):
    """Another version wrote it: nothing may be done with it, least of all by overlooking what is new in it."""


def understood(facts: Mapping[str, object]) -> Job:
    """The job that a row's facts tell of. Raises NotUnderstood."""
    try:
        return Job.model_validate(facts)
    except ValidationError:
        raise NotUnderstood from None
