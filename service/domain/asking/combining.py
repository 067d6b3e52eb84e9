"""Several prompts in one request, the transcript once: who may share, what is asked, and what came back for each.

An answer that came so is the same as one that was asked for alone, kept under its own name and digest. What is
missing, of the wrong kind or cut off is simply not there, and is asked for alone.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
from pydantic import JsonValue

from service.domain.asking.prompts import INERT, SPEECH, TAG, order
from service.domain.asking.sizes import MAX_TOKENS
from service.domain.asking.structured import Fits, read, schema_of, usable
from service.domain.asking.templates import Source, parse
from service.domain.asking.turns import unrepaired
from service.domain.job import Fact
from service.domain.models.catalogue import Models
from service.domain.pipeline import Prompt, canonical

OWN: Final = frozenset({"response_format", "max_tokens"})
"""Parameters that prompts of one request need not have in common: each has its own schema, and room for its answer."""

MOST: Final = 20
"""Prompts in one request: beyond, models lose sight of the first."""

STAND_INS: Final[Mapping[Source, str]] = {
    Source.TRANSCRIPT: "(the transcript above)",
    Source.UTTERANCES: "(the transcript above, turn by turn)",
    Source.PARAGRAPHS: "(the transcript above, in paragraphs)",
}
"""What a prompt says where it had the speech itself."""

_DEFINITIONS: Final = "#/$defs/"
_WORDS: Final[Mapping[str, JsonValue]] = {"type": "string"}


class Task(Fact):
    """One prompt's part of a request: its text with STAND_INS for the speech, and its schema if it is structured."""

    name: str
    instruction: str
    structure: Mapping[str, JsonValue] | None = None


def groups(prompts: Sequence[Prompt], models: Models | None) -> tuple[tuple[Prompt, ...], ...]:
    """The prompts that go out together, at least two of each; all others are asked alone.

    Together go those of one wave with one model, the same parameters, the same speech and the same system message.
    """
    found: dict[tuple[int, bytes], list[Prompt]] = {}
    for number, wave in enumerate(order(prompts)):
        for prompt in wave:
            if _may_share(prompt, models):
                found.setdefault((number, _in_common(prompt)), []).append(prompt)
    chunks = [many[at : at + MOST] for many in found.values() for at in range(0, len(many), MOST)]
    return tuple(tuple(chunk) for chunk in chunks if len(chunk) > 1)


def _may_share(prompt: Prompt, models: Models | None) -> bool:
    """One question, to a model that answers with an object; a model that was never heard of is believed to."""
    roles = [message.role for message in prompt.messages]
    if roles not in (["user"], ["system", "user"]) or any(speech(message.content) for message in prompt.messages[:-1]):
        return False
    model = (models or {}).get(prompt.model)
    takes = model is None or model.parameters is None or "response_format" in model.parameters
    structure = schema_of(prompt.request)
    plain = prompt.request.get("response_format") is None
    return takes and (plain or (structure is not None and _nestable(dict(structure)) and usable(structure)))


def _in_common(prompt: Prompt) -> bytes:
    parameters: JsonValue = {name: value for name, value in prompt.request.items() if name not in OWN}
    system: JsonValue = [message.content for message in prompt.messages[:-1]]
    return canonical([parameters, system, [source.value for source in speech(prompt.messages[-1].content)]])


def speech(content: str | None) -> Sequence[Source]:
    """What a message says of the recording's words: that stands in a request once, however many prompts speak of it."""
    there = {each.source for each in parse(content or "").variables()}
    return [source for source in Source if source in there & SPEECH]


def content(tasks: Sequence[Task], speech: Sequence[str]) -> str:
    """The one message: what is wanted, the speech (each text, or TAG for the Gateway to fill), then the tasks.

    Only the TAG that `speech` brings is in the Gateway's spelling, whatever stands in an instruction.
    """
    head = (
        f"Below are {len(tasks)} tasks. Do each of them as if it were the only one: none knows of another. Answer with"
        " one JSON object that has the answer to each task under the task's name."
    )
    asked = [f'Task "{task.name}":\n{task.instruction.strip()}' for task in tasks]
    parts = [head, *(f"<transcript>\n{text}\n</transcript>" for text in speech), *asked]
    whole = "\n\n".join(parts)
    if TAG not in speech:
        return whole.replace(TAG, INERT)
    before, _, after = whole.partition(f"<transcript>\n{TAG}\n</transcript>")
    return TAG.join((f"{before}<transcript>\n".replace(TAG, INERT), f"\n</transcript>{after}".replace(TAG, INERT)))


def parameters(requests: Sequence[Mapping[str, JsonValue]]) -> dict[str, JsonValue]:
    """What prompts of one request have in common, with room for all of their answers, also at a fallback.

    Without the repair of JSON: each property that is whole is read, and what cannot be repaired is answered a 5xx.
    """
    first, many = requests[0], len(requests)
    common = {name: value for name, value in (unrepaired(first) or first).items() if name not in OWN}
    wanted = [each if isinstance(each := request.get("max_tokens"), int) else MAX_TOKENS for request in requests]
    overrides = common.get("fallbacks")
    if isinstance(overrides, list):
        common["fallbacks"] = [_of_all(dict(each), many) for each in overrides if isinstance(each, dict)]
    return {**common, "max_tokens": sum(wanted)}


def _of_all(override: dict[str, JsonValue], many: int) -> JsonValue:
    override.pop("response_format", None)
    most = override.get("max_tokens")
    return {**override, "max_tokens": most * many} if isinstance(most, int) else override


def response_format(name: str, tasks: Sequence[Task], *, strict: bool) -> dict[str, JsonValue]:
    """An object with a property for each task, in their order; `strict` if every structured task is."""
    properties: dict[str, JsonValue] = {}
    definitions: dict[str, JsonValue] = {}
    for task in tasks:
        if task.structure is None:
            properties[task.name] = dict(_WORDS)
            continue
        nested = _renamed(dict(task.structure), f"{task.name}.")
        assert isinstance(nested, dict)
        own = nested.pop("$defs", {})
        nested.pop("$schema", None)
        nested.pop("$id", None)
        definitions |= {f"{task.name}.{key}": value for key, value in own.items()} if isinstance(own, dict) else {}
        properties[task.name] = nested
    schema: dict[str, JsonValue] = {
        "type": "object",
        "properties": properties,
        "required": [task.name for task in tasks],
        "additionalProperties": False,
        **({"$defs": definitions} if definitions else {}),
    }
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": strict}}


def _nestable(schema: JsonValue) -> bool:
    """Whether all that it refers to are definitions of its own, which can be moved."""
    return all(reference.startswith(_DEFINITIONS) for reference in _references(schema))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref" and isinstance(inner, str):
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _renamed(value: JsonValue, prefix: str) -> JsonValue:
    """The schema with its references to definitions that have moved to the root under a prefix."""
    if isinstance(value, list):
        return [_renamed(each, prefix) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _DEFINITIONS + prefix + inner.removeprefix(_DEFINITIONS)
        if key == "$ref" and isinstance(inner, str)
        else _renamed(inner, prefix)
        for key, inner in value.items()
    }


def answer_to(task: Task, found: Mapping[str, str]) -> tuple[str, JsonValue] | None:
    """The words of the task's answer, and their value if it is structured; None if it has no answer that will do."""
    said = found.get(task.name)
    if said is None:
        return None
    if task.structure is not None:
        fits = read(said, task.structure)
        return (fits.text, fits.value) if isinstance(fits, Fits) else None
    try:
        words = orjson.loads(said)
    except orjson.JSONDecodeError:
        return None
    return (words, None) if isinstance(words, str) and words.strip() else None


def properties(answered: str) -> Mapping[str, str]:
    """Each property of the answered object that is there whole, also of one that is cut off, fenced or spoilt.

    A property counts as whole once the comma or brace behind it is there. Its value is as it was written: what looks
    like JSON may still hold what can be neither kept nor told, such as half of a character.
    """
    found: dict[str, str] = {}
    decoder = json.JSONDecoder()
    at = answered.find("{") + 1
    while at > 0:
        try:
            name, behind = decoder.raw_decode(answered, _past(answered, at, ""))
            begins = _past(answered, _past(answered, behind, ":"), "")
            _, behind = decoder.raw_decode(answered, begins)
        except (ValueError, RecursionError):
            break
        end = _past(answered, behind, "")
        if not isinstance(name, str) or answered[end : end + 1] not in {",", "}"}:
            break
        found[name] = answered[begins:behind]
        at = end + 1 if answered[end] == "," else 0
    return found


def _past(text: str, at: int, mark: str) -> int:
    """Behind blanks, and behind the mark if one is due. Raises ValueError if another stands there."""
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    if not text.startswith(mark, at):
        raise ValueError(mark)
    return at + len(mark)
