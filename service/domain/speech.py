"""What prompts see of the speech: its turns, each by who spoke and perhaps when, and its paragraphs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from service.domain.errors import StorageTrouble
from service.domain.job import Fact
from service.domain.pipeline import Speech
from service.domain.transcript import Document, Paragraph, Utterance, Word

LONGEST_NAME: Final = 100
"""Characters of a speaker's name at most."""
SENTENCES: Final = 5
"""Sentences after which a paragraph of ours ends."""
SILENCE: Final = 2_000
"""Milliseconds between two sentences after which the next one begins a paragraph of ours."""
LONGEST: Final = 200
"""Words after which a paragraph of ours ends, whether or not a sentence does: some speech has no full stops."""

_ENDS: Final = re.compile(r"[.!?…。！？][\"')\]»”]*$")  # noqa: RUF001  full stops of other scripts
_HOUR: Final = 3_600_000
_MINUTE: Final = 60_000


class Spoken(Fact):
    """What of the speech a recording's prompts need beside the vendor's own; each is None where nobody needs it.

    `text`: the whole of it, where requests must bring it along.
    """

    utterances: str | None = None
    paragraphs: str | None = None
    text: str | None = None


def utterances(document: Document, speech: Speech) -> str | None:
    """`{{ utterances }}`: a line for each turn, never less than the whole of it; None without utterances.

    Who spoke is told by the name that the pipeline gives the label, else by the one that the vendor found out, else
    as `Speaker A` or `Channel 1`.
    """
    # An empty list says no more than none at all: a prompt about nothing must not be asked.
    if not document.utterances:
        return None
    names = _Names(document, speech)
    return "\n".join(_line(each, names, speech) for each in document.utterances)


def _line(utterance: Utterance, names: "_Names", speech: Speech) -> str:
    said = f"{names.of(utterance)}: {_in_one_line(utterance.text)}"
    return f"[{_clock(utterance.start)}] {said}" if speech.timestamps else said


def _clock(milliseconds: int) -> str:
    seconds = milliseconds // 1000 % 60
    return f"{milliseconds // _HOUR:02}:{milliseconds // _MINUTE % 60:02}:{seconds:02}"


def _in_one_line(text: str) -> str:
    """Whatever breaks a line would let a turn look like two."""
    return " ".join(text.splitlines())


class _Names:
    """Who is who in one transcript. The vendor may show a name in the place of the label that it stands for."""

    def __init__(self, document: Document, speech: Speech) -> None:
        self._found = identified(document)
        self._labels = {name: label for label, name in self._found.items()}
        self._given = speech.speakers

    def of(self, utterance: Utterance) -> str:
        speaker, channel = utterance.speaker, utterance.channel
        for label in (speaker, self._labels.get(speaker), channel):
            if label is not None and label in self._given:
                return self._given[label]
        for label in (speaker, channel):
            if label is not None and label in self._found:
                return self._found[label]
        if speaker in self._labels:
            return _in_one_line(speaker)[:LONGEST_NAME]
        return f"Channel {channel}" if channel is not None else f"Speaker {speaker}"


def identified(document: Document) -> Mapping[str, str]:
    """The speakers whom the vendor's speaker identification knows: names or roles by label (vendor API reference)."""
    found: object = (document.speech_understanding or {}).get("response")
    for step in ("speaker_identification", "mapping"):
        found = found.get(step) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        return {}
    named = {label: name for label, name in found.items() if isinstance(name, str) and name.strip()}
    return {label: _in_one_line(name)[:LONGEST_NAME] for label, name in named.items()}


class _Paragraphs(BaseModel):
    # A newer replica may have stored more than this one knows.
    model_config = ConfigDict(frozen=True, extra="ignore")

    paragraphs: tuple[Paragraph, ...]


def paragraphs_json(paragraphs: Sequence[Paragraph]) -> bytes:
    """Our paragraphs.json: of each its text and its times in integer milliseconds."""
    return orjson.dumps({"paragraphs": [each.model_dump() for each in paragraphs]})


def stored_paragraphs(body: bytes) -> str:
    """`{{ paragraphs }}` of the paragraphs.json that we stored: their texts, a blank line between two.

    Raises Unavailable when something else lies there now.
    """
    try:
        found = _Paragraphs.model_validate_json(body)
    except ValidationError:
        raise StorageTrouble("paragraphs.json among the results is not ours any more; restore it") from None
    return "\n\n".join(each.text for each in found.paragraphs)


def divided(document: Document) -> tuple[Paragraph, ...]:
    """Paragraphs of our own making, for a transcript that the vendor divides no more: never none where there is text.

    They end at a silence, after some sentences, or where words go on and on without a full stop.
    """
    found = tuple(_paragraph(words) for words in _runs(document.words))
    if found or not document.text.strip():
        return found
    return (Paragraph(text=document.text.strip(), start=0, end=(document.duration or 0) * 1000),)


def _paragraph(words: Sequence[Word]) -> Paragraph:
    return Paragraph(text=" ".join(word.text for word in words), start=words[0].start, end=words[-1].end)


def _runs(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    run: list[Word] = []
    sentences = 0
    for word in words:
        if run and _ENDS.search(run[-1].text):
            sentences += 1
            if sentences == SENTENCES or word.start - run[-1].end >= SILENCE:
                yield run
                run, sentences = [], 0
        if len(run) == LONGEST:
            yield run
            run, sentences = [], 0
        run.append(word)
    if run:
        yield run
