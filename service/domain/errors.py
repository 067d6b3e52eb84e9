"""Everything that can go wrong on the way from a recording to its event, by what is to be done about it.

ServiceError                the message is safe to log and to publish: no secret, no presigned query, no transcript text
├── Transient               later it may work
│   ├── Unavailable         nothing was started: refused connections, a 5xx to a read
│   │   └── StorageTrouble  our own results or events do not take it: never a reason to give a job up
│   ├── OutcomeUnknown      a paid request was sent and its answer never seen: it may have happened
│   ├── Throttled           too much at once; never counts as an attempt
│   └── AccountTrouble      about the key, the balance or an entitlement: parks all that it touches, never counts
├── Permanent               asking again the same way cannot help
│   ├── Rejected            the vendor refused the request, in its own words
│   │   └── ModelRefused    it refused it for a model's sake: another model may take it
│   ├── NoRoom              the request is longer than the model's context: another model may have room
│   ├── AnswerInvalid       a structured answer does not fit its schema: another model's may
│   ├── RecordingMissing    the recording is not there (any more), or cannot be read
│   ├── RecordingReplaced   what is there now is not the recording that was announced
│   └── TranscriptMissing   the vendor does not have the transcript, or deleted it
└── Refused                 bad input from a person: one or more Problems, each with its place and its cure
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from service.domain.use.usage import Usage


class ServiceError(Exception):
    """Any of the below."""


class Transient(ServiceError):
    """Later it may work. `retry_after` in seconds where the other side said when."""

    def __init__(self, message: str, *, retry_after: float | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.request_id = request_id


class Unavailable(Transient):
    """Nothing was started."""


class StorageTrouble(Unavailable):
    """Our own results or events cannot be read or written now; a job waits for as long as that lasts."""


class OutcomeUnknown(Transient):
    """The request was sent; whether it was carried out, and billed, is not known.

    `answered`: the other side did answer, that something went wrong on its own side.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, request_id: str | None = None, answered: bool = False
    ) -> None:
        super().__init__(message, retry_after=retry_after, request_id=request_id)
        self.answered = answered


class Throttled(Transient):
    """Too much at once, says the other side or our own budget."""


class Gate(StrEnum):
    """What the account's trouble is about; each gate parks what must pass it."""

    TRANSCRIPTION = "transcription"
    """The key, for everything under /v2."""
    BALANCE = "balance"
    """The balance, for submissions."""
    GATEWAY = "gateway"
    """The key or the entitlement, for the LLM Gateway."""


class AccountTrouble(Transient):
    """The key, the balance or an entitlement was refused."""

    def __init__(self, gate: Gate, message: str, *, request_id: str | None = None) -> None:
        super().__init__(message, request_id=request_id)
        self.gate = gate


class Code(StrEnum):
    """The documented codes of a failure, as they stand in events and results."""

    TRANSCRIPTION_FAILED = "transcription_failed"
    """The vendor ended the transcript in `error`; the message is its own."""
    NO_SPEECH = "no_speech"
    """The vendor found no spoken audio and made no transcript."""
    TRANSCRIPTION_REJECTED = "transcription_rejected"
    """The vendor refused the submission or the upload."""
    SUBMISSION_IN_DOUBT = "submission_in_doubt"
    """A submission may have happened and nothing can prove it; a person decides whether to submit again."""
    TRANSCRIPTION_TIMEOUT = "transcription_timeout"
    """The transcript did not end within a day."""
    TRANSCRIPT_MISSING = "transcript_missing"
    """The transcript is not (or no longer) at the vendor."""
    NOT_REDACTED = "not_redacted"
    """The transcript was made without the redaction that the pipeline asks for."""
    RECORDING_MISSING = "recording_missing"
    RECORDING_REPLACED = "recording_replaced"
    PROMPT_FAILED = "prompt_failed"
    """A required prompt could not be answered."""
    PROMPT_REJECTED = "prompt_rejected"
    """The Gateway refused this prompt's request: its model, a parameter, its length."""
    PROMPT_TRUNCATED = "prompt_truncated"
    """The answer was cut off at max_tokens."""
    PROMPT_EMPTY = "prompt_empty"
    """The model gave no content."""
    PROMPT_BLOCKED = "prompt_blocked"
    """The model or its provider withheld the answer (content filter)."""
    PROMPT_INVALID = "prompt_invalid"
    """No model gave a structured answer that fits its schema; the last one is kept as it came."""
    PROMPT_TOO_LONG = "prompt_too_long"
    """The request is longer than the context of each of the prompt's models; nothing is cut."""
    PROMPT_SKIPPED = "prompt_skipped"
    """A prompt whose answer this one needs has failed."""
    VENDOR_UNAVAILABLE = "vendor_unavailable"
    """The vendor's trouble, or S3's with the recording, outlasted our patience (AFTERWORD_GIVE_UP_AFTER)."""
    PIPELINE_MISSING = "pipeline_missing"
    """The pipelines file no longer has the pipeline that the job was dropped for."""
    CRASHES_WORKER = "crashes_worker"
    """Ten claims in a row brought no progress."""


class Permanent(ServiceError):
    """Asking again the same way cannot help. `usage`: what it took all the same, where that is known."""

    def __init__(self, code: Code, message: str, *, request_id: str | None = None, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage
        self.code = code
        self.message = message
        self.request_id = request_id


class Rejected(Permanent):
    """The vendor refused the request; the message is in its own words."""


class ModelRefused(Rejected):
    """The vendor refused the request for the sake of one of its models: retired, not allowed, lacking a parameter.

    `model`: which one, where the words name it. `in_doubt`: they do not, and it may be a fallback's. `for_length`: the
    request was too long for it, which the next one may not be.
    """

    def __init__(
        self,
        message: str,
        *,
        model: str | None = None,
        in_doubt: bool = False,
        for_length: bool = False,
        request_id: str | None = None,
    ) -> None:
        super().__init__(Code.PROMPT_REJECTED, message, request_id=request_id)
        self.model = model
        self.in_doubt = in_doubt
        self.for_length = for_length


class NoRoom(Permanent):
    """The request is estimated longer than the model's context."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.PROMPT_TOO_LONG, message)


class AnswerInvalid(Permanent):
    """A structured answer does not fit its schema. `raw` is what the model said; it is in no message."""

    def __init__(self, message: str, *, raw: str, request_id: str | None) -> None:
        super().__init__(Code.PROMPT_INVALID, message, request_id=request_id)
        self.raw = raw


class RecordingMissing(Permanent):
    """The recording is not there, or cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.RECORDING_MISSING, message)


class RecordingReplaced(Permanent):
    """What is there now is not the recording that was announced. `unfinished`: it is still being written."""

    def __init__(self, message: str, *, unfinished: bool = False) -> None:
        super().__init__(Code.RECORDING_REPLACED, message)
        self.unfinished = unfinished


class TranscriptMissing(Permanent):
    """The vendor does not have the transcript, or has deleted it."""

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__(Code.TRANSCRIPT_MISSING, message, request_id=request_id)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that a person must mend: where it is, what is wrong, and what to do about it."""

    place: str
    what: str
    cure: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}; {self.cure}"


class Refused(ServiceError):
    """Bad settings, a bad pipelines file or bad arguments: every problem at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
