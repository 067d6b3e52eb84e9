"""The sound of recordings that are files on this machine."""

import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

import anyio
from anyio import to_thread

from service.domain.errors import RecordingMissing, RecordingReplaced
from service.domain.job import JobId, Recording

PIECE: Final = 1024 * 1024
"""Bytes read at once."""

STILL_WRITING: Final = 10.0
"""Seconds since its last change for which a file of another size is taken for one that is not complete yet."""

CURE: Final = "put it back as it was and retry the job"


class Files:
    """ports.Recordings for files. Links are followed; anything but a regular file is never opened."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives epoch seconds: a file changed just now is taken for one that is still being written."""
        self._clock = clock

    @asynccontextmanager
    async def open(self, recording: Recording) -> AsyncIterator["OpenFile"]:
        """Raises RecordingMissing; RecordingReplaced when the size is not the announced one."""
        file = await to_thread.run_sync(_open, recording, self._clock)
        try:
            yield OpenFile(file, recording)
        finally:
            # A cancelled read may still be at it in its thread: closing waits for that, in a thread of its own.
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(file.close)

    async def url(self, recording: Recording, job_id: JobId) -> str:  # noqa: ARG002  # there is none to be made
        """Raises RecordingMissing: nobody elsewhere can read a file of this machine."""
        raise RecordingMissing(f"{recording.location} is a file, and has no URL that AssemblyAI could read")

    async def unchanged(self, recording: Recording) -> None:
        """Raises RecordingMissing, RecordingReplaced by the size alone: the content is compared as it is read."""
        async with self.open(recording):
            pass


class OpenFile:
    """ports.Sound of an open file."""

    def __init__(self, file: BinaryIO, recording: Recording) -> None:
        self._file = file
        self._recording = recording
        self._before = os.fstat(file.fileno())

    @property
    def size(self) -> int:
        return self._before.st_size

    async def chunks(self) -> AsyncIterator[bytes]:
        """Once through the file, never more bytes than `size`.

        Raises RecordingMissing when it cannot be read, RecordingReplaced at the end when its content is not the
        announced one or changed meanwhile.
        """
        content = sha256()
        read = 0
        while piece := await to_thread.run_sync(self._read):
            read += len(piece)
            if read > self.size:
                break
            await to_thread.run_sync(content.update, piece)
            yield piece
        after = os.fstat(self._file.fileno())
        if read != self.size or after.st_mtime_ns != self._before.st_mtime_ns:
            raise RecordingReplaced(f"{self._recording.location} changed while it was read", unfinished=True)
        if self._recording.digest not in {None, content.hexdigest()}:
            raise RecordingReplaced(f"{self._recording.location} is no longer the recording that was dropped")

    def _read(self) -> bytes:
        try:
            return self._file.read(PIECE)
        except OSError as error:
            raise _missing(self._recording, error.strerror) from error


def _open(recording: Recording, clock: Callable[[], float]) -> BinaryIO:
    path = Path(recording.location)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _missing(recording, "not a regular file")
        # Should a pipe have taken its place since, opening must not wait for somebody to write.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _missing(recording, error.strerror) from error
    file = open(descriptor, "rb", PIECE)  # noqa: PTH123, SIM115  a descriptor is no path, and the caller closes it
    now_there = os.fstat(descriptor)
    if now_there.st_size != recording.size:
        file.close()
        words = f"{path} has {now_there.st_size} bytes, but {recording.size} were dropped"
        unfinished = now_there.st_size > (recording.size or 0) or clock() - now_there.st_mtime < STILL_WRITING
        raise RecordingReplaced(words, unfinished=unfinished)
    return file


def _missing(recording: Recording, reason: str | None) -> RecordingMissing:
    return RecordingMissing(f"{recording.location} cannot be read ({reason or 'unknown reason'}): {CURE}")
