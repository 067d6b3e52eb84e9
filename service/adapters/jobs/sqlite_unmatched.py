"""What no pipeline took, kept in the file for a week."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from service.adapters.jobs.sqlite_connection import Reader
from service.adapters.jobs.sqlite_writer import Writer

KEPT: Final = 7 * 86_400.0
"""Seconds that an unmatched recording is remembered."""
PAGE: Final = 500
"""Documents in memory at once."""


class SqliteUnmatched:
    """Unmatched."""

    def __init__(self, writer: Writer, reader: Reader, clock: Callable[[], float]) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock

    async def keep(self, uri: str, document: bytes) -> bool:
        def act(connection: sqlite3.Connection) -> bool:
            now = self._clock()
            connection.execute("DELETE FROM unmatched WHERE kept_at < ?", (now - KEPT,))
            known = connection.execute("SELECT 1 FROM unmatched WHERE uri = ?", (uri,)).fetchone()
            connection.execute("INSERT OR REPLACE INTO unmatched VALUES (?, ?, ?)", (uri, document, now))
            return known is None

        return await self._writer.write(act)

    async def kept(self, after: str | None = None) -> tuple[Sequence[bytes], str | None]:
        def query(connection: sqlite3.Connection) -> tuple[Sequence[bytes], str | None]:
            found = connection.execute(
                "SELECT uri, document FROM unmatched WHERE uri > ? AND kept_at >= ? ORDER BY uri LIMIT ?",
                (after or "", self._clock() - KEPT, PAGE),
            ).fetchall()
            return [bytes(record["document"]) for record in found], found[-1]["uri"] if len(found) == PAGE else None

        return await self._reader.read(query)

    async def forget(self, uri: str) -> None:
        def act(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM unmatched WHERE uri = ?", (uri,))

        await self._writer.write(act)

    async def prune(self) -> None:
        """Let go of what is older than a week. Raises StoreTrouble."""

        def act(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM unmatched WHERE kept_at < ?", (self._clock() - KEPT,))

        await self._writer.write(act)
