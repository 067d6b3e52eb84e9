"""Connections to the one file, opened when needed and again after trouble; SQLite's own errors stop here."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from service.engine.errors import StoreTrouble

T = TypeVar("T")

BUSY_FOR: Final = 2.0
"""Seconds that a call waits for other processes to let go of the file."""

ASK_AGAIN_AFTER: Final = 0.0005
"""SQLite's own busy handler backs off to 100 ms and so never meets the millisecond that a busy writer leaves free."""


@contextmanager
def store_trouble() -> Iterator[None]:
    """Turn what SQLite and the disk raise into StoreTrouble."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise StoreTrouble(f"the job store failed: {name}") from error
    except OSError as error:
        raise StoreTrouble(f"the job store's file cannot be reached: {error.strerror}") from error


def patiently(attempt: Callable[[], T]) -> T:
    """Try until others let go of the file, at most BUSY_FOR. Raises sqlite3.Error."""
    deadline = time.monotonic() + BUSY_FOR
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
            if not busy or time.monotonic() > deadline:
                raise
        time.sleep(ASK_AGAIN_AFTER)


class Opened:
    """A connection that mends itself: whatever broke it, the next use opens the file anew.

    A file that is gone is trouble and never made again, for what is written into a file without a name is lost.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def connection(self) -> sqlite3.Connection:
        """The connection, open. Raises sqlite3.Error, OSError."""
        found = self._path.stat()
        identity = (found.st_dev, found.st_ino)
        if identity != self._identity:
            self.close()
        if self._connection is None:
            self._connection = connect(self._path)
            self._identity = identity
        return self._connection

    def close(self) -> None:
        """Close what is open; an unfinished transaction is undone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """A connection without implicit transactions, every commit of it on disk when it returns."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=0.0, isolation_level=None, check_same_thread=False
    )
    try:
        connection.row_factory = sqlite3.Row
        patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"))
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


class Reader:
    """Reads beside the writer, one at a time, off the event loop."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._turns = anyio.CapacityLimiter(1)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """What the query finds. Raises StoreTrouble."""
        return await anyio.to_thread.run_sync(self._read, query, limiter=self._turns)

    async def close(self) -> None:
        await anyio.to_thread.run_sync(self._opened.close, limiter=self._turns)

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with store_trouble():
                return patiently(lambda: query(self._opened.connection()))
        except StoreTrouble:
            self._opened.close()
            raise
