"""The one event of a run: a CloudEvent in structured JSON, made of the stored result and nothing else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import orjson

from service.domain.identity import event_id
from service.domain.job import Outcome
from service.domain.results import StoredResult

ANALYZED: Final = "afterword.recording.analyzed.v1"
FAILED: Final = "afterword.recording.failed.v1"

DATA_SCHEMA: Final = "urn:afterword:schema:recording:v1"
"""Names the JSON Schema of `data`, which ships with the service; a name, not an address to fetch."""

EVENT_AT_MOST: Final = 240 * 1024
"""Bytes of body and attributes. SNS takes 256 KiB in all; the rest is left to what encloses it on its way."""

ATTRIBUTE_TYPE: Final = len("String.Array")
"""The longest name of an attribute's type, which SNS counts too."""

_UNTAKEN: Final = re.compile(rb"\xef\xbf[\xbe\xbf]")
"""U+FFFE and U+FFFF, which SQS takes in no message; all else that it does not take is escaped in JSON anyway."""

Attribute = str | int | float | bool | tuple[str | int | float | bool, ...]


@dataclass(frozen=True, kw_only=True)
class Event:
    """A CloudEvent ready to be handed over: the same result gives the same event, to the byte.

    `body` is one line of JSON. `group` is one for all events about the same recording, fit for a FIFO topic.
    """

    id: str
    body: bytes
    attributes: Mapping[str, Attribute]
    group: str


def event(result: StoredResult, own: Mapping[str, Attribute]) -> Event:
    """The event of a stored result; `own` are the attributes that its pipeline adds, as made from `result.data`.

    Ours (`type`, `pipeline`, `outcome`) come first and cannot be replaced. Where body and attributes come to over
    240 KiB the answers are left out, and `answers_omitted` says so; attributes that are too long even then go too.
    """
    ours: dict[str, Attribute] = {
        "type": _type(result),
        "pipeline": result.pipeline,
        "outcome": result.outcome.value,
    }
    attributes = ours | {name: value for name, value in own.items() if name not in ours}
    body = _body(result, result.data)
    if len(body) + _weight(attributes) > EVENT_AT_MOST:
        kept = {name: value for name, value in result.data.items() if name != "answers"}
        body = _body(result, kept | {"answers_omitted": True})
        attributes = _fitting(attributes, ours, EVENT_AT_MOST - len(body))
    return Event(id=_id(result), body=body, attributes=attributes, group=_group(result))


def _fitting(attributes: Mapping[str, Attribute], ours: Mapping[str, Attribute], room: int) -> dict[str, Attribute]:
    """Those without the longest, as many as there is room for: an event that no topic takes would never be told."""
    kept = dict(attributes)
    for name in sorted(kept.keys() - ours.keys(), key=lambda each: (_weight({each: kept[each]}), each), reverse=True):
        if _weight(kept) > room:
            del kept[name]
    return kept


def _body(result: StoredResult, data: Mapping[str, object]) -> bytes:
    envelope = {
        "specversion": "1.0",
        "id": _id(result),
        "type": _type(result),
        "source": f"/{result.deployment}/{result.pipeline}",
        "subject": result.recording.uri,
        "time": result.timings.decided_at,
        "datacontenttype": "application/json",
        "dataschema": DATA_SCHEMA,
        "data": data,
    }
    return _UNTAKEN.sub(_escaped, orjson.dumps(envelope))


def _escaped(found: re.Match[bytes]) -> bytes:
    return rf"\u{ord(found[0].decode()):04x}".encode()


def _id(result: StoredResult) -> str:
    return event_id(result.deployment, result.job_id, result.run)


def _type(result: StoredResult) -> str:
    return FAILED if result.outcome is Outcome.FAILED else ANALYZED


def _group(result: StoredResult) -> str:
    return sha256(result.recording.uri.encode()).hexdigest()


def _weight(attributes: Mapping[str, Attribute]) -> int:
    return sum(len(name.encode()) + ATTRIBUTE_TYPE + len(orjson.dumps(value)) for name, value in attributes.items())
