"""Recordings that are objects in S3: their names, and what makes one of them the same one again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from service.domain.job import Kind, Recording
from service.domain.places import own
from service.domain.times import rfc3339

SCHEME: Final = "s3://"

BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""Names that a bucket may have (S3's documentation)."""

UNVERSIONED: Final = frozenset({None, "", "null"})
"""What stands for a version id where there is none that holds: a `null` version is overwritten in place."""


@dataclass(frozen=True, kw_only=True)
class ObjectPlace:
    """A bucket and a key, or a prefix of keys, as it is: nothing of it is encoded."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"


def parsed(uri: str) -> ObjectPlace | None:
    """The place that `s3://bucket/key` names; the key may be empty. None for anything else."""
    if not uri.startswith(SCHEME):
        return None
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    return ObjectPlace(bucket=bucket, key=key) if bucket else None


def bare_etag(etag: str | None) -> str | None:
    """Without the quotes that some who tell of it put around it; None for an empty one."""
    return (etag or "").removeprefix("W/").strip('"') or None


def recording(
    place: ObjectPlace,
    *,
    etag: str | None,
    size: int | None,
    version: str | None,
    seen_at: float,
    metadata: Mapping[str, str],
) -> Recording:
    """The object as it was announced; `seen_at` in epoch seconds. Without an etag it can be matched and no more."""
    return Recording(
        kind=Kind.OBJECT,
        uri=place.uri,
        key=place.key,
        name=place.key.rpartition("/")[2],
        location=place.bucket,
        size=size,
        version=None if version in UNVERSIONED else version,
        etag=bare_etag(etag),
        dropped_at=rfc3339(seen_at),
        metadata={name.lower(): value for name, value in metadata.items()},
    )


def ours(place: ObjectPlace, results: ObjectPlace | None) -> bool:
    """Whether an object is a result of ours and no recording; `results` is where ours go, if that is a bucket.

    It is when it lies under the prefix of the results (an empty one says nothing: the recordings may lie beside them),
    or has the form of a result anywhere, for another deployment may write into the same bucket.
    """
    below = results is not None and results.key and results.bucket == place.bucket and place.key.startswith(results.key)
    return bool(below) or own(place.key)
