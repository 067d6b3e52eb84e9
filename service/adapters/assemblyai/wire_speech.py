"""What a transcript shows beside its words: inline speech understanding, and who speaks.

Of a transcript that personal data was taken out of, the vendor does not say that what it understood of it is free of
them too. So of that nothing is believed but the names and roles that the request itself gave (vendor API reference:
speech understanding, PII redaction). `unredacted_…` is never looked at.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, cast

import orjson
from pydantic import JsonValue

from service.adapters.assemblyai.json_values import label, mapping, sequence, text

MOST: Final = 16 * 1024 * 1024
"""Bytes of JSON that are kept of what the vendor understood, and as many characters of its translations."""
NOBODY: Final = "unknown"
"""A speaker whose name must not be told."""

_IDENTIFIED: Final = "speaker_identification"
_LABEL: Final = re.compile(r"[A-Z]{1,2}|[0-9]{1,3}[A-Z]?")
_LEVELS: Final = 64


def understood(answer: Mapping[str, object]) -> dict[str, JsonValue] | None:
    """`request` and `response` as the vendor gives them, None where nothing was asked; `omitted` for too much."""
    request = _request(answer)
    if not request:
        return None
    response = mapping(mapping(answer.get("speech_understanding")).get("response"))
    if _redacted(answer):
        response = {_IDENTIFIED: {"mapping": _listed(answer)}} if _IDENTIFIED in request else {}
    whole = {"request": request, "response": response}
    if not _shallow(whole, _LEVELS) or len(orjson.dumps(whole)) > MOST:
        return {"omitted": True}
    return cast("dict[str, JsonValue]", whole)


def translations(answer: Mapping[str, object]) -> Callable[[Mapping[str, object]], dict[str, str] | None]:
    """What reads `translated_texts` of the transcript or of a turn: None where there are none to be kept."""
    wanted = "translation" in _request(answer) and not _redacted(answer)
    left = MOST

    def read(item: Mapping[str, object]) -> dict[str, str] | None:
        nonlocal left
        told = mapping(item.get("translated_texts")) if wanted else {}
        texts = {language: words for language, words in told.items() if isinstance(words, str)}
        left -= sum(map(len, texts.values()))
        return texts if texts and left >= 0 else None

    return read


def speakers(answer: Mapping[str, object]) -> Callable[[object], str | None]:
    """What reads a speaker of this transcript: by the label, or by the name that the vendor put in its place."""
    if not _redacted(answer) or _IDENTIFIED not in _request(answer):
        return label
    given, labels = _given(answer), {name: each for each, name in _found(answer).items() if _LABEL.fullmatch(each)}

    def read(value: object) -> str | None:
        speaker = label(value)
        if speaker is None or speaker in given or _LABEL.fullmatch(speaker):
            return speaker
        return labels.get(speaker, NOBODY)

    return read


def _shallow(value: object, levels: int) -> bool:
    """Whether it is nested no deeper than every reader of JSON follows."""
    inside = value.values() if isinstance(value, Mapping) else sequence(value)
    return inside is None or (levels > 0 and all(_shallow(each, levels - 1) for each in inside))


def _redacted(answer: Mapping[str, object]) -> bool:
    return answer.get("redact_pii") is True


def _request(answer: Mapping[str, object]) -> Mapping[str, object]:
    return mapping(mapping(answer.get("speech_understanding")).get("request"))


def _found(answer: Mapping[str, object]) -> Mapping[str, str]:
    response = mapping(mapping(answer.get("speech_understanding")).get("response"))
    found = mapping(mapping(response.get(_IDENTIFIED)).get("mapping"))
    return {each: name for each, name in found.items() if isinstance(name, str)}


def _listed(answer: Mapping[str, object]) -> Mapping[str, str]:
    given = _given(answer)
    return {each: name for each, name in _found(answer).items() if name in given and _LABEL.fullmatch(each)}


def _given(answer: Mapping[str, object]) -> frozenset[str]:
    """The names and roles that the request listed."""
    asked = mapping(_request(answer).get(_IDENTIFIED))
    described = [mapping(each) for each in sequence(asked.get("speakers")) or ()]
    names = [text(each) for each in sequence(asked.get("known_values")) or ()]
    names += [text(each.get(key)) for each in described for key in ("name", "role")]
    return frozenset(name for name in names if name)
