"""Transcripts: the vendor's, as far as we believe it, and our own document."""

from enum import StrEnum

from service.domain.job import Fact, TranscriptId


class State(StrEnum):
    """What the vendor says of a transcript (vendor API reference: status values)."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    ERROR = "error"


class Word(Fact):
    """`start` and `end` in milliseconds; `confidence` from 0 to 1."""

    text: str
    start: int
    end: int
    confidence: float
    speaker: str | None = None
    channel: str | None = None


class Utterance(Fact):
    """A turn of one speaker. Times in milliseconds."""

    speaker: str
    text: str
    start: int
    end: int
    confidence: float
    channel: str | None = None


class Document(Fact):
    """Our transcript.json: these fields and nothing else of the vendor's.

    `duration` in whole seconds, `language` BCP 47.
    """

    text: str
    words: tuple[Word, ...]
    utterances: tuple[Utterance, ...] | None
    confidence: float | None
    language: str | None
    duration: int | None


class Reading(Fact):
    """One GET of a transcript.

    `document` only when completed and not deleted. `error` is the vendor's own words, presigned queries taken out.
    `webhook_url` is whom it calls back. `deleted`: somebody deleted it at the vendor, or it is only the husk of one.
    """

    id: TranscriptId
    state: State
    audio_url: str
    webhook_url: str | None
    deleted: bool = False
    error: str | None = None
    document: Document | None = None


class Listed(Fact):
    """An item of the vendor's list, newest first. `created`, `completed`: epoch seconds."""

    id: TranscriptId
    state: State
    audio_url: str
    created: float
    completed: float | None
