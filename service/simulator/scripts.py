"""Scripts: what is said in a recording, by whom and when.

The stand-in's own recording format is the line `AFTERWORD-SCRIPT` followed by UTF-8 JSON (`{"duration": seconds,
"language": "en_us", "private": {"person_name": ["Ann"]}, "utterances": [{"speaker": "A", "text": "...", "start": ms,
"end": ms}]}`, all but the texts optional) or by plain text, whose lines may begin `A: `. So tests make any number of
distinct, tiny recordings.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

SECONDS_PER_WORD: Final = 0.4
FLAC_HEADER: Final = 26
STREAMED: Final = 0xFFFFFF00
"""From here on a WAV file's size is a placeholder of a writer that could not know it."""
_TURN: Final = re.compile(r"([A-Z]):\s+(.*)")


@dataclass(frozen=True, slots=True)
class Word:
    """One word; `start` and `end` in milliseconds."""

    text: str
    start: int
    end: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Utterance:
    speaker: str
    start: int
    end: int
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """All that was heard in a recording; `duration` in seconds. No utterances: silence."""

    duration: float
    language: str
    utterances: tuple[Utterance, ...]
    private: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What is personal data in it: words or phrases by the policy that hides them."""

    @property
    def words(self) -> list[Word]:
        return [word for utterance in self.utterances for word in utterance.words]

    @property
    def text(self) -> str:
        return " ".join(utterance.text for utterance in self.utterances)

    @property
    def speakers(self) -> list[str]:
        return sorted({utterance.speaker for utterance in self.utterances})


def parse_script(body: bytes) -> Heard:
    """Reads what follows the header line. Never refuses: what is no JSON object is plain text."""
    try:
        script = orjson.loads(body)
    except orjson.JSONDecodeError:
        script = None
    if isinstance(script, dict):
        return from_script(script)
    return from_script({"utterances": list(_turns(body.decode(errors="replace")))})


def _turns(text: str) -> Iterable[dict[str, str]]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    matches = [_TURN.fullmatch(line) for line in lines]
    if lines and all(matches):
        return [{"speaker": match[1], "text": match[2]} for match in matches if match]
    return [{"speaker": "A", "text": " ".join(lines)}] if lines else []


def from_script(script: Mapping[str, Any]) -> Heard:
    """Times that the script leaves out are spread evenly over its duration."""
    spoken = [entry for entry in script.get("utterances") or [] if str(entry.get("text", "")).strip()]
    weights = [len(str(entry["text"])) + 1 for entry in spoken]
    count = sum(len(str(entry["text"]).split()) for entry in spoken)
    duration = float(script.get("duration", max(1.0, count * SECONDS_PER_WORD)))
    language = str(script.get("language") or "en_us")
    return Heard(
        duration=duration,
        language=language,
        utterances=tuple(_timed(spoken, weights, duration)),
        private=_private(script.get("private")),
    )


def _private(told: Any) -> Mapping[str, tuple[str, ...]]:
    named = told.items() if isinstance(told, dict) else ()
    return {str(policy): tuple(map(str, terms)) for policy, terms in named if isinstance(terms, list)}


def _timed(spoken: Sequence[Mapping[str, Any]], weights: Sequence[int], duration: float) -> Iterable[Utterance]:
    total, passed = sum(weights), 0
    for entry, weight in zip(spoken, weights, strict=True):
        start = int(entry.get("start", duration * 1000 * passed / total))
        end = int(entry.get("end", duration * 1000 * (passed + weight) / total))
        passed += weight
        yield Utterance(str(entry.get("speaker") or "A"), start, end, spread(str(entry["text"]), start, end))


def spread(text: str, start: int, end: int) -> tuple[Word, ...]:
    """The words of a text over a stretch of time, each as long as its letters."""
    words = text.split()
    total, passed, timed = sum(len(word) + 1 for word in words), 0, []
    for word in words:
        begins = start + (end - start) * passed // total
        passed += len(word) + 1
        timed.append(Word(word, begins, max(begins + 1, start + (end - start) * passed // total), 0.97))
    return tuple(timed)


def sniff_duration(head: bytes) -> float | None:
    """Seconds of a PCM WAV or a FLAC file, from its header; None where it does not say."""
    if head[:4] == b"fLaC" and len(head) >= FLAC_HEADER:
        rate = int.from_bytes(head[18:21], "big") >> 4
        samples = int.from_bytes(head[21:26], "big") & 0xFFFFFFFFF
        return samples / rate if rate and samples else None
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        form, data = head.find(b"fmt ", 12), head.find(b"data", 12)
        if 0 <= form < data and len(head) >= data + 8:
            per_second = int.from_bytes(head[form + 16 : form + 20], "little")
            size = int.from_bytes(head[data + 4 : data + 8], "little")
            return size / per_second if per_second and size < STREAMED else None
    return None
