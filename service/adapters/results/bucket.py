"""Results under a prefix of an S3 bucket. How they are encrypted is the bucket's own business."""

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import anyio

from service.adapters.aws import Aws, AwsError
from service.adapters.results.parts import PART, put_in_parts, regrouped
from service.domain.errors import StorageTrouble
from service.domain.objects import SCHEME
from service.domain.places import OBJECT_KEY, Limits

LARGEST: Final = 512 * 1024 * 1024
"""Bytes of an object that `get` reads at most."""
CONFLICTS: Final = 5
"""Tries of a put that S3 refused for another one of the same key at the same moment."""
PAUSE: Final = 0.05
"""Seconds before the second try; twice as long before each further one."""
FIRST_BYTE: Final = "bytes=0-0"
NOT_THERE: Final = "NoSuchKey"
NO_UPLOAD: Final = "NoSuchUpload"
EMPTY: Final = 416
STANDS: Final = 412
CONFLICT: Final = 409
SERVER_ERRORS: Final = 500
CURES: Final = MappingProxyType(
    {
        "NoSuchBucket": "make it, or name another one in AFTERWORD_RESULTS",
        "NotImplemented": "name one in AFTERWORD_RESULTS that has conditional writes (If-None-Match), as S3 has",
        "EntityTooLarge": "nothing that large can be a result: report it",
    }
)
FORBIDDEN: Final = frozenset({"AccessDenied", "AllAccessDisabled"})


def limits(prefix: str) -> Limits:
    """What fits under a prefix: S3 limits whole keys, and no name in them. Raises ValueError when next to nothing."""
    return Limits(key=OBJECT_KEY - len(prefix.encode()), name=None)


class BucketResults:
    """ports.Results over the keys below `prefix`, which is empty or ends in a slash.

    First writer wins by S3's own conditional writes; an object is whole or absent by its nature.
    """

    def __init__(self, aws: Aws, bucket: str, prefix: str, *, largest: int = LARGEST) -> None:
        self._aws = aws
        self._bucket = bucket
        self._prefix = prefix
        self._largest = largest

    async def put_new(self, key: str, body: bytes, media_type: str) -> bool:
        """Durable once it returns; False also for our own put whose acknowledgement was lost: read what stands.

        Raises StorageTrouble; ValueError for a bad key.
        """
        named = self._named(key)
        for conflicts in range(1, CONFLICTS + 1):
            try:
                await self._aws.call("s3", "put_object", **named, Body=body, ContentType=media_type, IfNoneMatch="*")
            except AwsError as error:
                if error.status == STANDS:
                    return False
                if error.status != CONFLICT or conflicts == CONFLICTS:
                    raise self._trouble(error, "s3:PutObject", "kms:GenerateDataKey") from error
                await anyio.sleep(PAUSE * 2 ** (conflicts - 1))
            else:
                return True
        raise AssertionError("the last conflict is raised")

    async def put_new_stream(self, key: str, pieces: AsyncIterator[bytes], media_type: str) -> bool:
        """As `put_new`; at most two parts of it are in memory. Also raises what `pieces` raises."""
        if await self.has(key):
            return False
        parts = regrouped(pieces)
        first = await anext(parts)
        if len(first) < PART:
            return await self.put_new(key, first, media_type)
        try:
            await put_in_parts(self._aws, self._named(key), _chained(first, parts), media_type)
        except AwsError as error:
            if error.status == STANDS or (error.code == NO_UPLOAD and await self.has(key)):
                return False
            raise self._trouble(error, "s3:PutObject", "kms:GenerateDataKey and kms:Decrypt") from error
        return True

    async def get(self, key: str) -> bytes | None:
        """Raises StorageTrouble, also for what is too large to be ours; ValueError for a bad key."""
        named = self._named(key)
        try:
            return await self._aws.run("s3", lambda client: self._read(client, named))
        except AwsError as error:
            if error.code == NOT_THERE:
                return None
            raise self._unread(error) from error

    async def has(self, key: str) -> bool:
        """Raises StorageTrouble; ValueError for a bad key."""
        named = self._named(key)
        try:
            # A HEAD would say the same of a bucket that is not there as of a key: and what is paid for seem not to be.
            await self._aws.run("s3", lambda client: client.get_object(**named, Range=FIRST_BYTE)["Body"].read())
        except AwsError as error:
            if error.code == NOT_THERE:
                return False
            if error.status == EMPTY:
                return True
            raise self._unread(error) from error
        return True

    def uri(self, key: str) -> str:
        """`s3://bucket/key`, nothing of it encoded."""
        return f"{SCHEME}{self._bucket}/{self._prefix}{key}"

    def _named(self, key: str) -> dict[str, Any]:
        if {"", ".", ".."} & set(key.split("/")) or "\0" in key:
            raise ValueError(f"not a safe key for a result: {key!r}")
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{key}"}

    def _read(self, client: Any, named: Mapping[str, str]) -> bytes:
        answer = client.get_object(**named)
        with answer["Body"] as opened:
            # S3 tells the length beforehand, a proxy before it perhaps not.
            if answer.get("ContentLength", 0) <= self._largest:
                body: bytes = opened.read(self._largest + 1)
                # Only once it is read to its end is a body compared with its length: half a result is none.
                if len(body) <= self._largest and not opened.read(1):
                    return body
        uri = f"{SCHEME}{self._bucket}/{named['Key']}"
        raise StorageTrouble(f"{uri} has more than {self._largest} bytes, too many to be ours; move it away")

    def _unread(self, error: AwsError) -> StorageTrouble:
        return self._trouble(error, "s3:GetObject and s3:ListBucket", "kms:Decrypt")

    def _trouble(self, error: AwsError, right: str, key_right: str) -> StorageTrouble:
        what = f"the results bucket {self._bucket} cannot be used ({error.code})"
        return StorageTrouble(f"{what}: {_cure(error, right, key_right)}")


async def _chained(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for each in others:
        yield each


def _cure(error: AwsError, right: str, key_right: str) -> str:
    if error.code in CURES:
        return CURES[error.code]
    if error.code in FORBIDDEN:
        return f"allow the service {right} there, and {key_right} if the bucket has a key of yours"
    if error.code.startswith("KMS"):
        return f"enable the key that it is encrypted with, or let the service use it ({key_right})"
    if error.throttled or error.status in {None, CONFLICT} or (error.status or 0) >= SERVER_ERRORS:
        return "the work goes on by itself once S3 takes it again"
    if error.denied:
        return "mend the service's AWS credentials and region"
    return "mend that, or name another one in AFTERWORD_RESULTS"
