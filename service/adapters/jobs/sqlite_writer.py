"""The one writer of a process: whoever waits shares a commit, and is answered after it."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from service.adapters.jobs.sqlite_connection import Opened, patiently, store_trouble
from service.engine.errors import StoreTrouble

T = TypeVar("T")

PAUSE: Final = 0.001
"""Seconds between commits: a writer that commits back to back starves those of other processes for seconds."""

COMMIT_AT_MOST: Final = 500
"""Writes that share a commit, so that none waits long for the others."""

WAITING_AT_MOST: Final = 20_000
"""Writes that may wait; more are refused at once rather than kept in memory."""


@dataclass(frozen=True)
class Waiting:
    """A write whose caller waits. `settle` is told None when it is durable, else why it is not."""

    perform: Callable[[sqlite3.Connection], None]
    settle: Callable[[Exception | None], None]
    given_up: Callable[[], bool]


class Writer:
    """A thread, a queue and a connection. A write is a function that runs inside the transaction."""

    def __init__(self, opened: Opened, loop: asyncio.AbstractEventLoop) -> None:
        self._opened = opened
        self._loop = loop
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._closed = False
        self._thread = Thread(target=self._work, name="jobs-writer", daemon=True)
        self._thread.start()

    async def write(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """What `act` gives, once it is durable. Raises what `act` raises, and StoreTrouble.

        A caller that is cancelled before its turn has written nothing; after, all of it or nothing.
        """
        if self._closed or self._queue.qsize() > WAITING_AT_MOST:
            raise StoreTrouble("the job store takes no more writes")
        done: asyncio.Future[T] = self._loop.create_future()
        given: list[T] = []

        def settle(error: Exception | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(given[-1])
            else:
                done.set_exception(error)

        self._queue.put(Waiting(lambda connection: given.append(act(connection)), settle, done.cancelled))
        return await done

    async def close(self) -> None:
        """Finish what waits, then end; bounded by the time that a locked file is waited for."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._thread.join)

    def _work(self) -> None:
        while batch := self._gather():
            settled = self._commit([waiting for waiting in batch if not waiting.given_up()])
            self._loop.call_soon_threadsafe(tell, settled)
            time.sleep(PAUSE)
        self._opened.close()

    def _gather(self) -> Sequence[Waiting]:
        """All that waits, once anything does; nothing at the end."""
        batch: list[Waiting] = []
        first = self._queue.get()
        while first is not None:
            batch.append(first)
            if len(batch) == COMMIT_AT_MOST:
                return batch
            try:
                first = self._queue.get_nowait()
            except Empty:
                return batch
        if batch:
            self._queue.put(None)
        return batch

    def _commit(self, batch: Sequence[Waiting]) -> Sequence[tuple[Waiting, Exception | None]]:
        try:
            with store_trouble():
                connection = self._opened.connection()
                patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
                settled = [(waiting, perform(waiting, connection)) for waiting in batch]
                connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  whatever it is, those who wait must be answered
            settled = [(waiting, StoreTrouble(str(error))) for waiting in batch]
        if any(isinstance(error, StoreTrouble) for _, error in settled):
            self._opened.close()
        return settled


def perform(waiting: Waiting, connection: sqlite3.Connection) -> Exception | None:
    """Do one write so that its failure takes nobody along; why it failed. Raises StoreTrouble if all are undone."""
    connection.execute("SAVEPOINT one")
    try:
        with store_trouble():
            waiting.perform(connection)
    except Exception as error:
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        return error
    connection.execute("RELEASE one")
    return None


def tell(settled: Sequence[tuple[Waiting, Exception | None]]) -> None:
    """Answer those who wait, in the order of their writes."""
    for waiting, error in settled:
        waiting.settle(error)
