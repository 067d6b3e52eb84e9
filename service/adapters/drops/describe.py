"""A file on disk as the recording that is announced: its size and the hash of its content."""

import os
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from anyio import to_thread

from service.adapters.drops.grounds import Stamp, words
from service.domain.errors import RecordingMissing, RecordingReplaced
from service.domain.identity import file_uri
from service.domain.job import Kind, Recording
from service.domain.times import rfc3339

PIECE: Final = 1024 * 1024
"""Bytes read at once."""


class Changed(Exception):
    """The file became another while it was read."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A file's content: the SHA-256 in hex, and the stamp under which all of it was read."""

    digest: str
    stamp: Stamp


async def measured(path: Path) -> Measured:
    """Hash the file in a thread, in constant memory, given up within a piece when cancelled.

    Raises Changed; OSError, also for what is not a regular file, which is never opened.
    """
    stop = threading.Event()
    try:
        return await to_thread.run_sync(_measure, path, stop, abandon_on_cancel=True)
    finally:
        stop.set()


async def describe(
    path: Path, key: str, clock: Callable[[], float], metadata: Mapping[str, str] | None = None
) -> Recording:
    """The file as it is now, found under `key`; `clock` gives the time of the drop, epoch seconds.

    Raises RecordingMissing when it is not there, empty or not readable, RecordingReplaced when it changes meanwhile.
    """
    try:
        content = await measured(path)
    except Changed as error:
        raise RecordingReplaced(f"{path} changed while it was read: try again once it is complete") from error
    except OSError as error:
        raise RecordingMissing(f"{path} cannot be read ({words(error)}): name a file that may be read") from error
    if content.stamp.size == 0:
        raise RecordingMissing(f"{path} is empty: name a file with sound in it")
    return recording(path, key, content.stamp.size, content.digest, clock(), metadata)


def located(path: Path) -> Path:
    """The one absolute path of a file, whichever way was taken to its folder; a link keeps its own name."""
    return path.parent.resolve() / path.name


def recording(
    path: Path, key: str, size: int, digest: str | None, seen_at: float, metadata: Mapping[str, str] | None = None
) -> Recording:
    """The recording that the file at `path` is; `seen_at` in epoch seconds."""
    whole = str(located(path))
    return Recording(
        kind=Kind.FILE,
        uri=file_uri(whole),
        key=key,
        name=key.rpartition("/")[2],
        location=whole,
        size=size,
        digest=digest,
        dropped_at=rfc3339(seen_at),
        metadata=dict(metadata or {}),
    )


def _measure(path: Path, stop: threading.Event) -> Measured:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "not a regular file")
    # Should a pipe have taken its place since, opening must not wait for somebody to write.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123  a descriptor is no path
        before = os.fstat(descriptor)
        content = sha256()
        buffer = bytearray(PIECE)
        read = 0
        while not stop.is_set() and (count := file.readinto(buffer)):
            content.update(memoryview(buffer)[:count])
            read += count
        after = os.fstat(descriptor)
    if read != before.st_size or Stamp.of(before) != Stamp.of(after) or not stat.S_ISREG(before.st_mode):
        raise Changed
    return Measured(content.hexdigest(), Stamp.of(before))
