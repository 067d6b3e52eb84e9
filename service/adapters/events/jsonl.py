"""Events as lines of a file."""

import fcntl
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from service.domain.errors import StorageTrouble
from service.domain.events import Attribute

LOCK_WAIT: Final = 10.0
"""Seconds that one process waits for the others that write to the same file."""

LOCK_PAUSE: Final = 0.005

LONGEST_LINE: Final = 1024 * 1024
"""Bytes of an unfinished line at most. An event is a quarter of that; what is longer is not a line of ours."""

OPENING: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK


class JsonlEvents:
    """ports.Events over the file `path`, which is made when first needed; several processes may share it.

    Attributes, groups and ids are for engines that route by them: here a line is the whole event.
    """

    def __init__(self, path: Path, *, lock_wait: float = LOCK_WAIT) -> None:
        self._path = path.absolute()
        self._lock_wait = lock_wait
        self._thread = anyio.CapacityLimiter(1)

    async def publish(
        self,
        body: bytes,
        attributes: Mapping[str, Attribute],  # noqa: ARG002 - see above
        group: str,  # noqa: ARG002
        event_id: str,  # noqa: ARG002
    ) -> None:
        """One more line, on the disk once this returns. Raises Unavailable; ValueError for a body of several lines."""
        if b"\n" in body:
            raise ValueError("an event must be a single line")
        await anyio.to_thread.run_sync(self._append, body + b"\n", limiter=self._thread)

    def _append(self, line: bytes) -> None:
        try:
            with self._locked() as file:
                end = self._end(file)
                try:
                    _write(file, line, end)
                except OSError:
                    # Half a line would be cut off by the next writer anyway; readers are spared it until then.
                    with suppress(OSError):
                        os.ftruncate(file, end)
                    raise
        except OSError as error:
            trouble = os.strerror(error.errno or 0)
            raise StorageTrouble(
                f"the events file {self._path} could not be written ({trouble}); mend it and the events follow"
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file, open and locked, and still the one at that path (it may just have been rotated away)."""
        until = time.monotonic() + self._lock_wait
        while True:
            file = self._opened()
            try:
                self._lock(file, until)
                if self._is_at_path(file):
                    yield file
                    return
            finally:
                os.close(file)

    def _opened(self) -> int:
        if self._path.exists():
            return os.open(self._path, OPENING, 0o666)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, OPENING, 0o666)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return file

    def _lock(self, file: int, until: float) -> None:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if time.monotonic() > until:
                raise StorageTrouble(
                    f"the events file {self._path} has been locked by another process for {self._lock_wait:g} s;"
                    " find out which one holds it"
                )
            time.sleep(LOCK_PAUSE)

    def _is_at_path(self, file: int) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(file), self._path.stat())
        return False

    def _end(self, file: int) -> int:
        """Where the last whole line ends; what a crash left behind it is cut off."""
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise StorageTrouble(f"{self._path} is not a regular file; name another one in AFTERWORD_EVENTS")
        start = max(0, found.st_size - LONGEST_LINE)
        # The last byte alone says it nearly always.
        if found.st_size == 0 or os.pread(file, 1, found.st_size - 1) == b"\n":
            return found.st_size
        tail = os.pread(file, LONGEST_LINE, start)
        line = tail.rfind(b"\n") + 1
        # After a power cut a line may be zeros in place of what was written.
        if (line == 0 < start) or tail[line : line + 1] not in {b"{", b"\0"}:
            raise StorageTrouble(
                f"{self._path} ends in something that is no event and is left alone;"
                " end it with a new line, or name another file in AFTERWORD_EVENTS"
            )
        os.ftruncate(file, start + line)
        return start + line


def _write(file: int, line: bytes, end: int) -> None:
    written = 0
    while written < len(line):
        written += os.pwrite(file, line[written:], end + written)
    os.fsync(file)
