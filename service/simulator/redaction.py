"""What redaction hides: digits, what a script calls private, and the terms that a request lists itself."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import orjson

from service.simulator.scripts import Utterance, Word
from service.simulator.transcripts import Transcript
from service.simulator.wire import Json

SCRIPT: Final = b"AFTERWORD-SCRIPT"
_NUMBERS: Final = re.compile(r"\d")
_INNER: Final = re.compile(r"\w(?:.*\w)?", re.DOTALL)


def shown(transcript: Transcript, utterance: Utterance) -> Sequence[Word]:
    """The words of a turn as the account may see them."""
    asked = transcript.request
    if not asked.get("redact_pii"):
        return utterance.words
    by_name = asked.get("redact_pii_sub") == "entity_name"
    texts = [word.text for word in utterance.words]
    bare, hidden = [_bare(text) for text in texts], set[int]()
    for label, term in _terms(transcript):
        wanted = [_bare(part) for part in term.split()]
        for at in range(len(bare) - len(wanted) + 1):
            if wanted and bare[at : at + len(wanted)] == wanted:
                for place in set(range(at, at + len(wanted))) - hidden:
                    texts[place] = _INNER.sub(f"[{label}]" if by_name else _hashes, texts[place], count=1)
                hidden.update(range(at, at + len(wanted)))
    digit = "[NUMBER]" if by_name else "#"
    return [replace(word, text=_NUMBERS.sub(digit, text)) for word, text in zip(utterance.words, texts, strict=True)]


def redacted_script(transcript: Transcript) -> bytes | None:
    """The recording without what is hidden, in the stand-in's own format; None for any other, and where nothing is."""
    recording, heard = transcript.recording, transcript.heard
    if recording is None or heard is None:
        return None
    with recording.path.open("rb") as file:
        if file.read(len(SCRIPT)) != SCRIPT:
            return None
    turns: list[Json] = [
        {
            "speaker": each.speaker,
            "text": " ".join(word.text for word in shown(transcript, each)),
            "start": each.start,
            "end": each.end,
        }
        for each in heard.utterances
    ]
    if [each["text"] for each in turns] == [each.text for each in heard.utterances]:
        return None
    told = {"duration": heard.duration, "language": heard.language, "utterances": turns}
    return SCRIPT + b"\n" + orjson.dumps(told)


def _terms(transcript: Transcript) -> Iterator[tuple[str, str]]:
    """What is hidden besides digits, each with its label."""
    private = transcript.heard.private if transcript.heard else {}
    for policy in transcript.request.get("redact_pii_policies") or ():
        yield from ((str(policy).upper(), term) for term in private.get(policy, ()))
    for label, terms in (transcript.request.get("redact_static_entities") or {}).items():
        yield from ((str(label), str(term)) for term in terms)


def _bare(word: str) -> str:
    found = _INNER.search(word)
    return found[0].casefold() if found else ""


def _hashes(found: re.Match[str]) -> str:
    return "#" * len(found[0])
