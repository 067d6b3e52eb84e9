"""The embedded job store: one SQLite file that any number of processes on one machine share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import anyio
import anyio.to_thread

from service.adapters.jobs.sqlite_beside import SqliteGates, SqlitePins
from service.adapters.jobs.sqlite_books import SqliteBooks
from service.adapters.jobs.sqlite_connection import Opened, Reader, patiently, store_trouble
from service.adapters.jobs.sqlite_listing import SqliteJobs
from service.adapters.jobs.sqlite_queues import SqliteBudgets, SqliteQueues
from service.adapters.jobs.sqlite_schema import create
from service.adapters.jobs.sqlite_table import SqliteTable
from service.adapters.jobs.sqlite_unmatched import SqliteUnmatched
from service.adapters.jobs.sqlite_writer import Writer
from service.engine.row import RowId
from service.engine.rules import Steps


@dataclass(frozen=True, kw_only=True)
class SqliteStore:
    """The ports that one file serves."""

    table: SqliteTable
    jobs: SqliteJobs
    pins: SqlitePins
    gates: SqliteGates
    unmatched: SqliteUnmatched
    books: SqliteBooks
    queues: SqliteQueues
    budgets: SqliteBudgets

    async def ready(self) -> None:
        """Returns if the file answers. Raises StoreTrouble."""
        await self.jobs.get(RowId("readiness"))

    async def prune(self, older_than: float) -> int:
        """Forget what ended and was last written before `older_than`; how many, 0 when none is left."""
        await self.unmatched.prune()
        await self.books.prune()
        return await self.table.prune(older_than)


@asynccontextmanager
async def open_store(
    path: Path, *, steps: Steps, lease: float, clock: Callable[[], float], random: Random
) -> AsyncIterator[SqliteStore]:
    """The store in this file, which is made if it is not there (its folder is not).

    Leases last `lease` seconds. Leaving finishes the writes that wait. Raises StoreTrouble if the file cannot be
    used, Refused if a newer version wrote it.
    """
    writing, reading = Opened(path), Opened(path)
    await anyio.to_thread.run_sync(prepare, path, writing)
    writer, reader = Writer(writing, asyncio.get_running_loop()), Reader(reading)
    try:
        yield SqliteStore(
            table=SqliteTable(writer, steps=steps, lease=lease, clock=clock, random=random),
            jobs=SqliteJobs(reader, clock),
            pins=SqlitePins(writer, reader, clock),
            gates=SqliteGates(writer, reader, clock),
            unmatched=SqliteUnmatched(writer, reader, clock),
            books=SqliteBooks(writer, reader, clock),
            queues=SqliteQueues(reader, steps=steps, clock=clock),
            budgets=SqliteBudgets(writer, reader),
        )
    finally:
        with anyio.CancelScope(shield=True):
            await writer.close()
            await reader.close()


def prepare(path: Path, opened: Opened) -> None:
    """Make the file and its tables unless they are there. Raises StoreTrouble, Refused."""
    try:
        with store_trouble():
            path.touch(mode=0o600)
            connection = opened.connection()
            patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
            create(connection, str(path))
            connection.execute("COMMIT")
    except BaseException:
        opened.close()
        raise
