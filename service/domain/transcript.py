"""Transcripts: the vendor's, as far as we believe it, and our own document."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from pydantic import ConfigDict, JsonValue, ValidationError

from service.domain.errors import StorageTrouble
from service.domain.job import Fact, TranscriptId

READ_ONLY: Final = ConfigDict(frozen=True, extra="ignore")
"""Of what is read and never written again: what a newer replica added is not lost by overlooking it."""


class State(StrEnum):
    """What the vendor says of a transcript (vendor API reference: status values)."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    ERROR = "error"


class Word(Fact):
    """`start` and `end` in milliseconds; `confidence` from 0 to 1."""

    model_config = READ_ONLY

    text: str
    start: int
    end: int
    confidence: float
    speaker: str | None = None
    channel: str | None = None


class Utterance(Fact):
    """A turn of one speaker. Times in milliseconds; `translated_texts` by language, where that was asked for."""

    model_config = READ_ONLY

    speaker: str
    text: str
    start: int
    end: int
    confidence: float
    channel: str | None = None
    translated_texts: Mapping[str, str] | None = None


class Paragraph(Fact):
    """A stretch of the text, whoever speaks in it. Times in milliseconds."""

    model_config = READ_ONLY

    text: str
    start: int
    end: int


class Document(Fact):
    """Our transcript.json: these fields and nothing else of the vendor's.

    `duration` in whole seconds, `language` BCP 47. The last two are there only where the request asked for speech
    understanding: `request` and `response` as the vendor gave them, or `omitted` for too much of it.
    """

    model_config = READ_ONLY

    text: str
    words: tuple[Word, ...]
    utterances: tuple[Utterance, ...] | None
    confidence: float | None
    language: str | None
    duration: int | None
    speech_understanding: Mapping[str, JsonValue] | None = None
    translated_texts: Mapping[str, str] | None = None


def stored_transcript(body: bytes) -> Document:
    """The transcript.json that we stored. Raises Unavailable when something else lies there now."""
    try:
        return Document.model_validate_json(body)
    except ValidationError:
        raise StorageTrouble("transcript.json among the results is not ours any more; restore it") from None


class Reading(Fact):
    """One GET of a transcript.

    `document` only when completed and not deleted. `error` is the vendor's own words, presigned queries taken out.
    `webhook_url` is whom it calls back. `deleted`: somebody deleted it at the vendor, or it is only the husk of one.
    `channels` and `speech_model` are what it is billed by. `redacted`: personal data was taken out of it.
    """

    id: TranscriptId
    state: State
    audio_url: str
    webhook_url: str | None
    deleted: bool = False
    error: str | None = None
    document: Document | None = None
    channels: int = 1
    speech_model: str | None = None
    redacted: bool = False


class Listed(Fact):
    """An item of the vendor's list, newest first. `created`, `completed`: epoch seconds."""

    id: TranscriptId
    state: State
    audio_url: str
    created: float
    completed: float | None
