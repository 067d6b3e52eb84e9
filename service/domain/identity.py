"""What a recording is, so that one that arrives twice is known again; and the names that follow from it."""

import json
from hashlib import sha256
from typing import Final, assert_never
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID, uuid5

from service.domain.job import JobId, Kind, Recording

EVENT_NAMESPACE: Final = UUID("a4fe6b63-a5ec-4f87-a5de-6f667c77f0e0")
"""The namespace of event ids. Documented and never changed: subscribers dedupe by what is made from it."""

JOB_ID_PREFIX: Final = "job_"
JOB_ID_DIGITS: Final = 32


def job_id(name: str, recording: Recording, again: str | None = None) -> JobId:
    """The id of the one job that deployment `name` has for `recording`: `job_` and 32 lower-case hex digits.

    Fit for a URL, a folder and an S3 key as it is. The same recording always gives the same id, whatever else is
    known of it; `again`, a nonce, gives another one. Raises ValueError for a file without size or content digest and an
    object without etag.
    """
    # A JSON array keeps the fields apart whatever is in them; ASCII so that it is the same bytes everywhere.
    fields = json.dumps([name, recording.kind.value, *_identity(recording), again], separators=(",", ":"))
    return JobId(JOB_ID_PREFIX + sha256(fields.encode("ascii")).hexdigest()[:JOB_ID_DIGITS])


def _identity(recording: Recording) -> tuple[str | int, ...]:
    match recording.kind:
        case Kind.FILE:
            if recording.size is None or recording.digest is None:
                raise ValueError("a file is identified by its key, size and content digest; one of them is missing")
            return (recording.key, recording.size, recording.digest)
        case Kind.OBJECT:
            if recording.etag is None:
                raise ValueError("an object is identified by its bucket, key and etag; the etag is missing")
            # Not the version: a notification, its duplicates and a listing must agree, and a listing tells of none.
            return (recording.location, recording.key, recording.etag)
        case Kind.URL:
            # What follows `#` is never sent to a server, so it cannot make another recording of it.
            return (recording.location.partition("#")[0],)
        case Kind.TRANSCRIPT:
            return (recording.location,)
        case _:
            assert_never(recording.kind)


def is_job_id(name: str) -> bool:
    """Whether `name` has the form of a job id, in upper or lower case (some folders do not tell them apart)."""
    digits = name.lower().removeprefix(JOB_ID_PREFIX)
    return len(digits) == JOB_ID_DIGITS != len(name) and set(digits) <= set("0123456789abcdef")


def event_id(name: str, job: JobId, run: int) -> str:
    """The id of the one event of a run: the UUIDv5 of `{name}/{job}/{run}`."""
    return str(uuid5(EVENT_NAMESPACE, f"{name}/{job}/{run}"))


def file_uri(path: str) -> str:
    """The `file://` URI of an absolute path, percent-encoded. Raises ValueError for a relative one."""
    if not path.startswith("/"):
        raise ValueError("only an absolute path has a URI")
    return "file://" + quote(path, safe="/")


def url_uri(url: str) -> str:
    """A recording's URL as it may be told: without user, query and fragment, the path percent-encoded."""
    parts = urlsplit(url)
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~")
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))


def transcript_uri(transcript_id: str) -> str:
    """The URI of a recording of which only the vendor's transcript is known: `assemblyai:transcript/{id}`."""
    return "assemblyai:transcript/" + quote(transcript_id, safe="")
