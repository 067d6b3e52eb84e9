"""A result too large for the memory, put into a bucket in parts."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

import anyio

from service.adapters.aws import Aws, AwsError

PART: Final = 5 * 1024 * 1024
"""Bytes of each part but the last: the least that S3 takes, which makes 50 GB of its 10,000 parts."""


async def regrouped(pieces: AsyncIterator[bytes], size: int = PART) -> AsyncIterator[bytes]:
    """The same bytes in parts of `size`, the last one shorter and perhaps empty."""
    waiting = bytearray()
    async for piece in pieces:
        waiting += piece
        while len(waiting) >= size:
            with memoryview(waiting) as seen:
                part = bytes(seen[:size])
            del waiting[:size]
            yield part
    yield bytes(waiting)


async def put_in_parts(aws: Aws, named: Mapping[str, Any], parts: AsyncIterator[bytes], media_type: str) -> None:
    """Whole or not at all, and only where nothing stands yet: S3 refuses the completion otherwise (412).

    Raises AwsError, and what `parts` raises; then S3 is asked to forget what it has of it. Where that is not heard
    the bucket's own rules see to it.
    """
    begun = await aws.call("s3", "create_multipart_upload", **named, ContentType=media_type)
    upload = {**named, "UploadId": begun["UploadId"]}
    try:
        done: list[Mapping[str, object]] = []
        async for part in parts:
            if part or not done:
                number = len(done) + 1
                answer = await aws.call("s3", "upload_part", **upload, PartNumber=number, Body=part)
                done.append({"PartNumber": number, "ETag": answer["ETag"]})
        whole = {"Parts": done}
        await aws.call("s3", "complete_multipart_upload", **upload, MultipartUpload=whole, IfNoneMatch="*")
    except BaseException:
        with anyio.CancelScope(shield=True), suppress(AwsError):
            await aws.call("s3", "abort_multipart_upload", **upload)
        raise
