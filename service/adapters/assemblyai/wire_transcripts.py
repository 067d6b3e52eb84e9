"""The transcription API's JSON as our records (vendor API reference: transcript object, list, deletion).

Unknown keys are passed over and missing ones are no failure, as long as what remains means something. Functions raise
Garbled otherwise.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from service.adapters.assemblyai.json_values import Garbled, count, label, mapping, number, parsed, sequence, text
from service.adapters.assemblyai.redaction import redacted
from service.adapters.assemblyai.wire_speech import speakers, translations, understood
from service.domain.job import TranscriptId
from service.domain.transcript import Document, Listed, Paragraph, Reading, State, Utterance, Word

LONGEST_URL: Final = 16_384
LONGEST_NAME: Final = 100
CHANNELS_AT_MOST: Final = 32

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}([_-][A-Za-z0-9]{1,8}){0,4}")
_SCRIPT: Final = 4
_REGION: Final = 2
_FORGOTTEN_AUDIO: Final = "http://deleted_by_user"
_FORGOTTEN_TEXT: Final = "Deleted by user."
_WORD_FIELDS: Final = set(Word.model_fields)
_UTTERANCE_FIELDS: Final = set(Utterance.model_fields)


def identifier(value: object) -> TranscriptId | None:
    """A transcript id that can stand in a path, None for anything else."""
    return TranscriptId(value) if isinstance(value, str) and _ID.fullmatch(value) else None


def submitted(body: bytes | bytearray) -> TranscriptId:
    """The id of the transcript that a submission started."""
    found = identifier(parsed(body).get("id"))
    if found is None:
        raise Garbled("it names no transcript id")
    return found


def uploaded(body: bytes | bytearray) -> str:
    """The URL under which an upload can be submitted."""
    url = text(parsed(body).get("upload_url"))
    if not url or len(url) > LONGEST_URL or not url.startswith(("https://", "http://")):
        raise Garbled("it names no upload_url")
    return url


def reading(body: bytes | bytearray) -> Reading:
    """What a GET of a transcript says."""
    answer = parsed(body)
    found = identifier(answer.get("id"))
    if found is None:
        raise Garbled("it names no transcript id")
    state = _state(answer.get("status"))
    error = text(answer.get("error"))
    deleted = _deleted(answer, state)
    return Reading(
        id=found,
        state=state,
        audio_url=text(answer.get("audio_url")) or "",
        webhook_url=text(answer.get("webhook_url")),
        deleted=deleted,
        error=redacted(error) if error else None,
        document=_document(answer) if state is State.COMPLETED and not deleted else None,
        channels=_channels(answer),
        speech_model=(text(answer.get("speech_model_used")) or "")[:LONGEST_NAME] or None,
        redacted=answer.get("redact_pii") is True,
    )


def _channels(answer: Mapping[str, object]) -> int:
    """Those that are billed: a recording of several is mixed into one unless each was asked for by itself."""
    apart = bool(answer.get("multichannel") or answer.get("dual_channel"))
    return min(count(answer.get("audio_channels")) or 1, CHANNELS_AT_MOST) if apart else 1


def paragraphs(body: bytes | bytearray) -> tuple[Paragraph, ...]:
    """A finished transcript's paragraphs, those without a word left out."""
    items = sequence(parsed(body).get("paragraphs"))
    if items is None:
        raise Garbled("it holds no list of paragraphs")
    found = (mapping(item) for item in items)
    return tuple(
        Paragraph(text=_needed(item), start=_time(item, "start"), end=_time(item, "end"))
        for item in found
        if (text(item.get("text")) or "?").strip()
    )


def redacted_audio(body: bytes | bytearray) -> str:
    """Where the redacted audio can be fetched for a while."""
    url = text(parsed(body).get("redacted_audio_url"))
    if not url or len(url) > LONGEST_URL:
        raise Garbled("it names no redacted_audio_url")
    return url


def listed(body: bytes | bytearray, ahead: float = 0.0) -> tuple[Listed, ...]:
    """The items of a page, in the vendor's order, their times by a clock that is so many seconds ahead of its own."""
    items = sequence(parsed(body).get("transcripts"))
    if items is None:
        raise Garbled("it holds no list of transcripts")
    return tuple(_item(mapping(item), ahead) for item in items)


def language(code: str | None) -> str | None:
    """The vendor's language code (`en_us`) in BCP 47 (`en-US`); None for what is no language code."""
    if code is None or not _LANGUAGE.fullmatch(code):
        return None
    first, *rest = re.split("[_-]", code.lower())
    return "-".join([first, *map(_subtag, rest)])


def _subtag(part: str) -> str:
    if len(part) == _SCRIPT and part.isalpha():
        return part.title()
    return part.upper() if len(part) == _REGION else part


def _state(value: object) -> State:
    """A word that we don't know counts as not ended yet: what it means shows in a later state, or in its absence."""
    if not isinstance(value, str):
        raise Garbled("it names no status")
    try:
        return State(value)
    except ValueError:
        return State.PROCESSING


def _deleted(answer: Mapping[str, object], state: State) -> bool:
    """Deleted transcripts keep their status; what is left of them is a marker, or nothing at all."""
    if (text(answer.get("audio_url")) or "").startswith(_FORGOTTEN_AUDIO):
        return True
    if state is not State.COMPLETED or answer.get("words"):
        return False
    words = answer.get("text")
    return words == _FORGOTTEN_TEXT or (words is None and answer.get("words") is None)


def _document(answer: Mapping[str, object]) -> Document:
    words = text(answer.get("text"))
    if words is None:
        raise Garbled("it is completed and has no text")
    turns = sequence(answer.get("utterances"))
    duration = number(answer.get("audio_duration"))
    who, translated = speakers(answer), translations(answer)
    return Document(
        text=words,
        words=tuple(_word(mapping(item), who) for item in sequence(answer.get("words")) or ()),
        utterances=None if turns is None else tuple(_utterance(mapping(item), who, translated) for item in turns),
        confidence=number(answer.get("confidence")),
        language=language(text(answer.get("language_code"))),
        duration=None if duration is None or duration < 0 else math.ceil(duration),
        speech_understanding=understood(answer),
        translated_texts=translated(answer),
    )


def _word(item: Mapping[str, object], who: Callable[[object], str | None]) -> Word:
    # Checked here and not once more by the model: ten hours are 100,000 words, and a shared set of field names
    # keeps them at a third of the memory.
    return Word.model_construct(
        _WORD_FIELDS,
        text=_needed(item),
        start=_time(item, "start"),
        end=_time(item, "end"),
        confidence=float(number(item.get("confidence")) or 0.0),
        speaker=who(item.get("speaker")),
        channel=label(item.get("channel")),
    )


def _utterance(
    item: Mapping[str, object],
    who: Callable[[object], str | None],
    translated: Callable[[Mapping[str, object]], Mapping[str, str] | None],
) -> Utterance:
    channel = label(item.get("channel"))
    return Utterance.model_construct(
        _UTTERANCE_FIELDS,
        speaker=who(item.get("speaker")) or channel or "",
        text=_needed(item),
        start=_time(item, "start"),
        end=_time(item, "end"),
        confidence=float(number(item.get("confidence")) or 0.0),
        channel=channel,
        translated_texts=translated(item),
    )


def _needed(item: Mapping[str, object]) -> str:
    words = text(item.get("text"))
    if words is None:
        raise Garbled("a word or utterance has no text")
    return words


def _time(item: Mapping[str, object], key: str) -> int:
    milliseconds = count(item.get(key))
    if milliseconds is None:
        raise Garbled(f"a word or utterance has no {key}")
    return milliseconds


def _item(item: Mapping[str, object], ahead: float) -> Listed:
    found, created = identifier(item.get("id")), _moment(item.get("created"))
    completed = _moment(item.get("completed"))
    if found is None or created is None:
        raise Garbled("an item of its list has no id or no time")
    return Listed(
        id=found,
        state=_state(item.get("status")),
        audio_url=text(item.get("audio_url")) or "",
        created=created + ahead,
        completed=None if completed is None else completed + ahead,
    )


def _moment(value: object) -> float | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
