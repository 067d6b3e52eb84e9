"""Each recording where it lies: files on this machine, objects in S3."""

from contextlib import AbstractAsyncContextManager
from typing import assert_never

from service.domain.errors import RecordingMissing
from service.domain.job import JobId, Kind, Recording
from service.ports.places import Recordings, Sound


class ByKind:
    """ports.Recordings over one for files and one for objects."""

    def __init__(self, files: Recordings, objects: Recordings) -> None:
        self._files = files
        self._objects = objects

    def open(self, recording: Recording) -> AbstractAsyncContextManager[Sound]:
        """As where it lies. Raises RecordingMissing for what has no bytes of ours."""
        return self._of(recording).open(recording)

    async def url(self, recording: Recording, job_id: JobId) -> str:
        """As where it lies. Raises RecordingMissing for what has no bytes of ours."""
        return await self._of(recording).url(recording, job_id)

    async def unchanged(self, recording: Recording) -> None:
        """As where it lies. Raises RecordingMissing for what has no bytes of ours."""
        await self._of(recording).unchanged(recording)

    def _of(self, recording: Recording) -> Recordings:
        match recording.kind:
            case Kind.FILE:
                return self._files
            case Kind.OBJECT:
                return self._objects
            case Kind.URL | Kind.TRANSCRIPT:
                raise RecordingMissing(f"{recording.uri} is neither a file nor an object that could be read here")
            case _:
                assert_never(recording.kind)
