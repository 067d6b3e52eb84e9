"""Objects in S3 as recordings: what a HEAD says of one, and which ones there are under a prefix."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Final

from service.adapters.aws import Aws, AwsError
from service.domain.errors import RecordingMissing, Unavailable
from service.domain.job import Recording
from service.domain.objects import ObjectPlace, bare_etag, recording

PAGE: Final = 1000
"""Objects that one listing tells of at most, in memory at once."""
NOT_THERE: Final = 404
DELETED: Final = 405
"""S3's answer to a HEAD of a version that is a delete marker."""
SERVER_ERRORS: Final = 500
OURS: Final = frozenset({"ParamValidationError"})
"""Botocore refuses to send it at all: as final as S3's own 400."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """What S3 says of an object now."""

    etag: str | None
    size: int | None
    version: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An object of a listing; `etag` is bare, `size` in bytes. The same object's notification makes the same job."""

    place: ObjectPlace
    etag: str | None
    size: int


async def head(aws: Aws, place: ObjectPlace, version: str | None = None) -> Head | None:
    """The object (that version of it); None if it is not there. Raises AwsError."""
    pinned = {} if version is None else {"VersionId": version}
    try:
        answer = await aws.call("s3", "head_object", Bucket=place.bucket, Key=place.key, **pinned)
    except AwsError as error:
        if error.status in {NOT_THERE, DELETED}:
            return None
        raise
    return Head(
        etag=bare_etag(answer.get("ETag")),
        size=answer.get("ContentLength"),
        version=answer.get("VersionId"),
        metadata={name.lower(): decoded(value) for name, value in (answer.get("Metadata") or {}).items()},
    )


async def described(
    aws: Aws, place: ObjectPlace, clock: Callable[[], float], metadata: Mapping[str, str] | None = None
) -> Recording:
    """The object as it is now; `clock` gives the time of the drop, epoch seconds. `metadata` goes before its own.

    Raises RecordingMissing when it is not there, empty or may not be read; Unavailable.
    """
    try:
        found = await head(aws, place)
    except AwsError as error:
        if final(error):
            cure = "allow s3:GetObject on it and s3:ListBucket on its bucket" if error.denied else "name another object"
            raise RecordingMissing(f"{place.uri} cannot be read ({error}): {cure}") from error
        raise Unavailable(str(error)) from error
    if found is None:
        raise RecordingMissing(f"{place.uri} is not there: name an object with sound in it")
    if not found.size:
        raise RecordingMissing(f"{place.uri} is empty: name an object with sound in it")
    return told(place, replace(found, metadata={**found.metadata, **(metadata or {})}), clock())


def told(place: ObjectPlace, found: Head, seen_at: float, announced: int | None = None) -> Recording:
    """The recording that the object is; `seen_at` in epoch seconds.

    `announced` is the size where the HEAD tells of none, as it does through some proxies.
    """
    size = announced if found.size is None else found.size
    return recording(place, etag=found.etag, size=size, version=found.version, seen_at=seen_at, metadata=found.metadata)


async def listed(aws: Aws, under: ObjectPlace) -> AsyncIterator[Sequence[Listed]]:
    """The objects whose keys begin with `under.key`, by name, a page of at most 1,000 after the other.

    Raises RecordingMissing when the bucket is not there or may not be listed; Unavailable.
    """
    after: dict[str, str] = {}
    while True:
        try:
            page = await aws.call("s3", "list_objects_v2", Bucket=under.bucket, Prefix=under.key, MaxKeys=PAGE, **after)
        except AwsError as error:
            if final(error):
                cure = "allow s3:ListBucket on the bucket" if error.denied else "name a bucket of yours"
                raise RecordingMissing(f"{under.uri} cannot be listed ({error}): {cure}") from error
            raise Unavailable(str(error)) from error
        yield [
            Listed(
                place=ObjectPlace(bucket=under.bucket, key=each["Key"]),
                etag=bare_etag(each.get("ETag")),
                size=each.get("Size", 0),
            )
            for each in page.get("Contents", ())
        ]
        if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
            return
        after = {"ContinuationToken": page["NextContinuationToken"]}


def final(error: AwsError) -> bool:
    """Whether asking again the same way cannot help, as far as AWS says."""
    if error.throttled:
        return False
    return error.denied or error.code in OURS or 0 < (error.status or 0) < SERVER_ERRORS


def decoded(value: str) -> str:
    """User metadata as it was meant: what is not ASCII S3 tells of in the words of RFC 2047 (S3's documentation)."""
    if "=?" not in value:
        return value
    try:
        meant = str(make_header(decode_header(value)))
        meant.encode()
    except (HeaderParseError, LookupError, ValueError):
        return value
    return meant
