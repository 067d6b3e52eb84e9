"""What the message that a bucket's notification became announces: S3's own form or EventBridge's, bare or from SNS.

Whoever can write to the queue can write anything, so nothing of a message is trusted: what is not of its documented
form makes it unreadable, and nothing is taken from any other field than the documented ones. Field names are met in
any letter case, since those who stand in for S3 spell some of them their own way.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, unquote_plus

import orjson

from service.domain.job import Fact
from service.domain.objects import UNVERSIONED, ObjectPlace, bare_etag

LONGEST_BODY: Final = 256 * 1024
"""Characters of a message that are read; a notification takes about a thousand."""
LONGEST_KEY: Final = 1024
"""Bytes of an S3 key in UTF-8."""
LARGEST_OBJECT: Final = 2**63
RECORDS: Final = 100
"""Objects that one message may announce; S3 tells of one at a time."""
WRAPPINGS: Final = 2
"""Envelopes of SNS around a notification; more mean that somebody plays."""
SHOWN: Final = 60

BUCKET: Final = re.compile(r"[A-Za-z0-9._-]{1,255}")
TOKEN: Final = re.compile(r"[!-~]{1,1024}")

CREATED: Final = "ObjectCreated:"
EVENTBRIDGE: Final = "Object Created"
TEST_EVENT: Final = "s3:TestEvent"


class Notice(Fact):
    """An object that was announced, as far as the announcement tells.

    `keys` are what the announced key may stand for, likeliest first: S3 url-encodes it, EventBridge does not, and some
    who stand in for them do as they please.
    """

    bucket: str
    keys: tuple[str, ...]
    etag: str | None = None
    version: str | None = None
    size: int | None = None

    @property
    def places(self) -> Sequence[ObjectPlace]:
        """Where the object may be, likeliest first."""
        return [ObjectPlace(bucket=self.bucket, key=key) for key in self.keys]


@dataclass(frozen=True, kw_only=True)
class Notices:
    """What a message announces.

    `others` names events that are no news of a recording; `fault` tells why it, or one of its records, is unreadable,
    in words that hold nothing of the message.
    """

    created: tuple[Notice, ...] = ()
    others: tuple[str, ...] = ()
    fault: str | None = None


class _Unreadable(Exception):
    """The message, or one record of it, is not of the documented form."""


def read(body: str) -> Notices:
    """What the message says; raises nothing, whatever it holds."""
    try:
        return _notices(_parsed(body))
    except _Unreadable as unreadable:
        return Notices(fault=str(unreadable))


def _parsed(body: str, wrappings: int = 0) -> Mapping[str, object]:
    if len(body) > LONGEST_BODY:
        raise _Unreadable(f"it is longer than {LONGEST_BODY} characters")
    try:
        said: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _Unreadable("it is not JSON") from None
    if not isinstance(said, dict):
        raise _Unreadable("it is no JSON object")
    kind, wrapped = _field(said, "Type"), _field(said, "Message")
    if not isinstance(kind, str) or not isinstance(wrapped, str):
        return said
    if kind != "Notification":
        raise _Unreadable("it is SNS's own, not a notification: confirm the subscription")
    if wrappings == WRAPPINGS:
        raise _Unreadable("it is wrapped in too many envelopes")
    return _parsed(wrapped, wrappings + 1)


def _notices(said: Mapping[str, object]) -> Notices:
    if _field(said, "Event") == TEST_EVENT:
        return Notices(others=(TEST_EVENT,))
    kind, detail = _field(said, "detail-type"), _field(said, "detail")
    if isinstance(kind, str) and detail is not None:
        if kind != EVENTBRIDGE:
            return Notices(others=(kind[:SHOWN],))
        return Notices(created=(_notice(detail, encoded=False),))
    records = _field(said, "Records")
    if not isinstance(records, list) or not records:
        raise _Unreadable("it is no notification of S3's")
    if len(records) > RECORDS:
        raise _Unreadable(f"it announces more than {RECORDS} objects")
    return _all_of(records)


def _all_of(records: Sequence[object]) -> Notices:
    created: list[Notice] = []
    others: list[str] = []
    fault = None
    for record in records:
        try:
            event = _event(record)
            if event.removeprefix("s3:").startswith(CREATED):
                created.append(_notice(_field(record, "s3"), encoded=True))
            else:
                others.append(event[:SHOWN])
        except _Unreadable as unreadable:
            fault = str(unreadable)
    return Notices(created=tuple(created), others=tuple(others), fault=fault)


def _event(record: object) -> str:
    event = _field(record, "eventName")
    if not isinstance(event, str):
        raise _Unreadable("a record of it names no event")
    return event


def _notice(told: object, *, encoded: bool) -> Notice:
    bucket, announced = _field(_field(told, "bucket"), "name"), _field(told, "object")
    key, size = _field(announced, "key"), _field(announced, "size")
    version = _token(_field(announced, "versionId"))
    if not isinstance(bucket, str) or BUCKET.fullmatch(bucket) is None:
        raise _Unreadable("it names no bucket")
    if not isinstance(key, str):
        raise _Unreadable("it names no key")
    keys = tuple(dict.fromkeys(_readings(key, encoded=encoded)))
    if not keys:
        raise _Unreadable(f"its key is empty, or longer than {LONGEST_KEY} bytes")
    return Notice(
        bucket=bucket,
        keys=keys,
        etag=bare_etag(_token(_field(announced, "etag"))),
        version=None if version in UNVERSIONED else version,
        size=size if type(size) is int and 0 <= size < LARGEST_OBJECT else None,
    )


def _readings(key: str, *, encoded: bool) -> Iterator[str]:
    """What the key may stand for; both forms are tried, the documented one first."""
    readings: Sequence[Callable[[str], str]] = (_decoded, _decoded_but_plus, str)
    for reading in readings if encoded else reversed(readings):
        try:
            meant = reading(key)
        except UnicodeDecodeError:
            continue
        if 0 < len(meant.encode()) <= LONGEST_KEY:
            yield meant


def _decoded(key: str) -> str:
    return unquote_plus(key, errors="strict")


def _decoded_but_plus(key: str) -> str:
    return unquote(key, errors="strict")


def _field(told: object, name: str) -> object:
    """The field of that name in an object, in whatever letter case and with whatever hyphens; None without one."""
    if not isinstance(told, dict):
        return None
    if name in told:
        return told[name]
    folded = _folded(name)
    return next((value for key, value in told.items() if _folded(key) == folded), None)


def _folded(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _token(value: object) -> str | None:
    """A name that S3 made, if it looks like one; S3 is asked for what is missing."""
    return value if isinstance(value, str) and TOKEN.fullmatch(value) else None
