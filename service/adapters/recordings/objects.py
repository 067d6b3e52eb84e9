"""The sound of recordings that are objects in S3."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
from anyio import to_thread

from service.adapters.aws import Aws, AwsError
from service.adapters.recordings.presigning import naming_jobs, presigned
from service.adapters.recordings.refusals import archived, refusal, replaced
from service.domain.errors import StorageTrouble
from service.domain.job import JobId, Recording
from service.domain.objects import bare_etag

PIECE: Final = 1024 * 1024
"""Bytes read at once."""
BREAKS: Final = 5
"""Broken connections in a row after which reading is given up for now; one that is drained slowly may break often."""
FIRST_BYTE: Final = "bytes=0-0"
ARCHIVED: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects must be restored before anybody reads them (S3's documentation)."""
RESTORED: Final = 'ongoing-request="false"'


class Objects:
    """ports.Recordings for objects.

    With a version id that version is what was announced, whatever lies there now; without one, the object is for as
    long as it has the etag that was announced.
    """

    def __init__(self, aws: Aws, *, lifetime: float) -> None:
        """`lifetime` of the URLs in seconds, at most seven days; they die sooner with the credentials that sign."""
        self._aws = aws
        self._lifetime = round(lifetime)
        aws.prepare("s3", naming_jobs)

    @asynccontextmanager
    async def open(self, recording: Recording) -> AsyncIterator["OpenObject"]:
        """Raises RecordingMissing, RecordingReplaced, Unavailable."""
        sound = OpenObject(self._aws, recording)
        await sound.begin()
        try:
            yield sound
        finally:
            with anyio.CancelScope(shield=True):
                await sound.close()

    async def url(self, recording: Recording, job_id: JobId) -> str:
        """A presigned URL of the announced version, or else of the key, once it was seen to be what was announced.

        The job's id is a part of what is signed. Raises RecordingMissing, RecordingReplaced, Unavailable.
        """
        head = await self._head(recording)
        if _archived(head):
            raise archived(recording)
        parameters = _named(recording)
        try:
            return await self._aws.run("s3", lambda client: presigned(client, parameters, job_id, self._lifetime))
        except AwsError as error:
            raise refusal(recording, error) from error

    async def unchanged(self, recording: Recording) -> None:
        """Raises RecordingMissing, RecordingReplaced, Unavailable."""
        await self._head(recording)

    async def _head(self, recording: Recording) -> Mapping[str, Any]:
        try:
            head = await self._aws.call("s3", "head_object", **_named(recording))
        except AwsError as error:
            raise refusal(recording, await self._worded(recording, error)) from error
        found = bare_etag(head.get("ETag"))
        if recording.version is None and recording.etag not in {None, found}:
            raise replaced(recording)
        return head

    async def _worded(self, recording: Recording, error: AwsError) -> AwsError:
        """The refusal of a HEAD, which has no body that could tell why, in the words of a GET."""
        if not error.code.isdigit() or error.status == 404:  # noqa: PLR2004  # not there needs no words
            return error
        try:
            answer = await self._aws.call("s3", "get_object", **_named(recording), Range=FIRST_BYTE)
        except AwsError as told:
            return told
        await self._aws.run("s3", lambda _: answer["Body"].close())
        return error


class OpenObject:
    """ports.Sound of an object: read as it is drained, and taken up again where a connection broke."""

    def __init__(self, aws: Aws, recording: Recording) -> None:
        self._aws = aws
        self._recording = recording
        self._body: Any = None
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    async def begin(self, offset: int = 0) -> None:
        """Have `chunks` go on from there. Raises RecordingMissing, RecordingReplaced, Unavailable."""
        pinned = _named(self._recording)
        if self._recording.etag is not None:
            pinned["IfMatch"] = f'"{self._recording.etag}"'
        if offset:
            pinned["Range"] = f"bytes={offset}-"
        try:
            answer = await self._aws.call("s3", "get_object", **pinned)
        except AwsError as error:
            raise refusal(self._recording, error) from error
        self._body = answer["Body"]
        if not offset:
            # A proxy that passes the body on in chunks drops its length; what has the announced etag has that size.
            self._size = answer.get("ContentLength", self._recording.size or 0)
        elif not answer.get("ContentRange", "").startswith(f"bytes {offset}-"):
            await self.close()
            raise StorageTrouble(f"{self._recording.uri} broke off, and S3 does not go on from where it did")

    async def chunks(self) -> AsyncIterator[bytes]:
        """Once through the object, exactly `size` bytes.

        Raises as `begin` where it has to be taken up again, Unavailable when it breaks off too often.
        """
        read = breaks = 0
        while read < self._size:
            try:
                piece = await self._piece(min(PIECE, self._size - read))
            except AwsError as error:
                breaks += 1
                if breaks > BREAKS:
                    raise StorageTrouble(f"{self._recording.uri} breaks off again and again ({error.code})") from error
                await self.close()
                await self.begin(read)
                continue
            read, breaks = read + len(piece), 0
            yield piece

    async def close(self) -> None:
        """Let go of the connection."""
        body, self._body = self._body, None
        if body is not None:
            await to_thread.run_sync(body.close)

    async def _piece(self, most: int) -> bytes:
        body = self._body
        return await self._aws.run("s3", lambda _: _read(body, most))


def _read(body: Any, most: int) -> bytes:
    piece: bytes = body.read(most)
    if not piece:
        raise AwsError("s3", "IncompleteRead", "", status=None)
    return piece


def _named(recording: Recording) -> dict[str, str]:
    named = {"Bucket": recording.location, "Key": recording.key}
    return named if recording.version is None else {**named, "VersionId": recording.version}


def _archived(head: Mapping[str, Any]) -> bool:
    there = head.get("ArchiveStatus") or head.get("StorageClass") in ARCHIVED
    return bool(there) and RESTORED not in head.get("Restore", "")
