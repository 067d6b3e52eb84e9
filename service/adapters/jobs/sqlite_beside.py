"""What is kept in the file beside the rows: pinned pipelines, notes of callbacks, gates."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from service.adapters.jobs import sqlite_rows as rows
from service.adapters.jobs.gating import first_closed, probed
from service.adapters.jobs.sqlite_connection import Reader
from service.adapters.jobs.sqlite_rows import NOTES_KEPT
from service.adapters.jobs.sqlite_writer import Writer
from service.domain.job import JobId, TranscriptId
from service.engine.rules import unparked
from service.ports.store import Closed

UNPARKED_AT_ONCE: Final = 500


class SqlitePins:
    """Pins."""

    def __init__(self, writer: Writer, reader: Reader, clock: Callable[[], float]) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock

    async def pin(self, digest: str, document: bytes) -> None:
        def act(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO pin VALUES (?, ?)", (digest, document))

        await self._writer.write(act)

    async def pinned(self, digest: str) -> bytes | None:
        def query(connection: sqlite3.Connection) -> bytes | None:
            record = connection.execute("SELECT document FROM pin WHERE digest = ?", (digest,)).fetchone()
            return None if record is None else bytes(record["document"])

        return await self._reader.read(query)

    async def notes(self, job_id: JobId) -> Sequence[TranscriptId]:
        def query(connection: sqlite3.Connection) -> Sequence[TranscriptId]:
            found = connection.execute(
                "SELECT subject FROM note WHERE row_id = ? AND noted_at >= ? ORDER BY noted_at, subject",
                (job_id, self._clock() - NOTES_KEPT),
            )
            return [TranscriptId(record["subject"]) for record in found]

        return await self._reader.read(query)


class SqliteGates:
    """Gates."""

    def __init__(self, writer: Writer, reader: Reader, clock: Callable[[], float]) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock

    async def closed(self) -> Sequence[Closed]:
        def query(connection: sqlite3.Connection) -> Sequence[Closed]:
            return [Closed(**dict(record)) for record in connection.execute("SELECT * FROM gate ORDER BY gate")]

        return await self._reader.read(query)

    async def probe(self, gate: str) -> bool:
        def act(connection: sqlite3.Connection) -> bool:
            standing, now = standing_at(connection, gate), self._clock()
            if standing is None:
                return True
            if now < standing.next_probe_at:
                return False
            write(connection, probed(standing, now))
            return True

        return await self._writer.write(act)

    async def shut(self, gate: str, reason: str) -> tuple[Closed, bool]:
        def act(connection: sqlite3.Connection) -> tuple[Closed, bool]:
            standing = standing_at(connection, gate)
            shut = first_closed(gate, reason, self._clock()) if standing is None else replace(standing, reason=reason)
            write(connection, shut)
            return shut, standing is None

        return await self._writer.write(act)

    async def reopen(self, gate: str) -> bool:
        def act(connection: sqlite3.Connection) -> tuple[bool, int]:
            deleted = connection.execute("DELETE FROM gate WHERE gate = ?", (gate,)).rowcount
            parked = rows.parked(connection, gate, UNPARKED_AT_ONCE)
            for row in parked:
                rows.unpark(connection, unparked(row, self._clock()))
            return deleted > 0, len(parked)

        was_shut, freed = await self._writer.write(act)
        while freed == UNPARKED_AT_ONCE:
            _, freed = await self._writer.write(act)
        return was_shut


def standing_at(connection: sqlite3.Connection, gate: str) -> Closed | None:
    """The gate, if it is shut."""
    record = connection.execute("SELECT * FROM gate WHERE gate = ?", (gate,)).fetchone()
    return None if record is None else Closed(**dict(record))


def write(connection: sqlite3.Connection, closed: Closed) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO gate (gate, since, next_probe_at, pause, reason)"
        " VALUES (:gate, :since, :next_probe_at, :pause, :reason)",
        vars(closed),
    )
