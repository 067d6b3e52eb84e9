"""A pipeline's own event attributes: pointers into what is known of a recording, and what they come to."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from service.domain.events import Attribute
from service.domain.pipeline import NAME
from service.domain.spelling import did_you_mean, shown

MOST: Final = 7
"""A message with more than ten attributes is dropped on raw delivery, and three are ours."""

OURS: Final = frozenset({"type", "pipeline", "outcome"})

LARGEST_NUMBER: Final = 1e9
"""What lies beyond, either way, is told as a string: subscribers' filters reach no further."""

LONGEST_NAME: Final = 256

_ATTRIBUTE: Final = re.compile(r"(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]+(?<!\.)")
_RESERVED: Final = re.compile(r"(?i:aws|amazon)\.")
_ANSWER: Final = re.compile(rf"answers\.({NAME})((?:\.[^.]+)*)")
_METADATA: Final = re.compile(r"source\.metadata\.(.{1,256})")
_KNOWN: Final = ("answers.NAME", "answers.NAME.PROPERTY", "source.metadata.NAME", "source.key", "transcript.language")


def answer_of(pointer: str) -> str | None:
    """The prompt that the pointer needs."""
    found = _ANSWER.fullmatch(pointer)
    return found[1] if found else None


def parts_of(pointer: str) -> Sequence[str]:
    """The properties, one within the other, that the pointer names in a structured answer; none for the whole."""
    found = _ANSWER.fullmatch(pointer)
    return found[2].split(".")[1:] if found else ()


def wrong_name(name: str) -> tuple[str, str] | None:
    """What is wrong with an attribute's name, and the cure."""
    if name in OURS:
        return f"`{name}` is an attribute that every event has", "choose another name"
    if _RESERVED.match(name):
        return f"{shown(name)} begins as AWS's own names do", "leave out the first part, up to the dot"
    if len(name) > LONGEST_NAME:
        return f"{shown(name)} is longer than {LONGEST_NAME} characters", "choose a shorter name"
    if not _ATTRIBUTE.fullmatch(name):
        return f"{shown(name)} is no name of an attribute", "use letters, digits, `_`, `-` and single dots inside"
    return None


def wrong_pointer(pointer: str) -> tuple[str, str] | None:
    """What is wrong with a pointer as it is written, and the cure."""
    if pointer in {"source.key", "transcript.language"} or answer_of(pointer) or _METADATA.fullmatch(pointer):
        return None
    if re.match(rf"answers\.{NAME}\.", pointer):
        return f"{shown(pointer)} has a dot too many", 'write it like "answers.triage.customer.tier"'
    near = did_you_mean(pointer, _KNOWN)
    cure = f"did you mean `{near}`?" if near else f"write one of: {', '.join(_KNOWN)}"
    return f"{shown(pointer)} points at nothing that is known", cure


def evaluate(pointers: Mapping[str, str], data: Mapping[str, Any]) -> Mapping[str, Attribute]:
    """The attributes of an event with this `data`. What is null, missing, empty or an object is left out."""
    values = {name: _attribute(_value(pointer, data)) for name, pointer in pointers.items()}
    return {name: value for name, value in values.items() if value is not None}


def _value(pointer: str, data: Mapping[str, Any]) -> Any:
    recording = data.get("recording") or {}
    metadata = _METADATA.fullmatch(pointer)
    answer = answer_of(pointer)
    if metadata:
        held = {name.lower(): value for name, value in (recording.get("metadata") or {}).items()}
        return held.get(metadata[1].lower())
    if answer:
        return _told((data.get("answers") or {}).get(answer) or {}, parts_of(pointer))
    if pointer == "source.key":
        return recording.get("key")
    return (data.get("transcript") or {}).get("language")


def _told(answer: Mapping[str, Any], parts: Sequence[str]) -> Any:
    value = answer.get("value") if parts else answer.get("content")
    for part in parts:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _attribute(value: Any) -> Attribute | None:
    if isinstance(value, (list, tuple)):
        return tuple(each for item in value if (each := _scalar(item)) is not None) or None
    return _scalar(value)


def _scalar(value: Any) -> str | int | float | bool | None:
    match value:
        case bool():
            return value
        case int() | float():
            return value if -LARGEST_NUMBER <= value <= LARGEST_NUMBER else str(value)
        case str():
            return value or None
        case _:
            return None
