"""A claimed row in a worker's hands, and the lease on it."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager

from service.engine.errors import LeaseLost, StoreTrouble
from service.engine.row import Row, Save
from service.engine.table import Table


class Hold:
    """One claimed row. Time is our own monotonic clock's, counted from before each call that set the lease.

    Once the lease is lost everything raises LeaseLost, and nothing is written any more. What has begun to be written
    is written to its end, even if the caller is cancelled: what follows finds it on `row`.
    """

    def __init__(self, row: Row, table: Table, *, lease: float, since: float, monotonic: Callable[[], float]) -> None:
        """`since`: the monotonic time before the claim was made."""
        self._row = row
        self._table = table
        self._lease = lease
        self._until = since + lease
        self._monotonic = monotonic
        self._lost = False
        self._withdrawn = False
        self._progressed = False
        self._unsure = False
        self._shielded = False
        self._turn = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None
        self._writes: set[asyncio.Task[None]] = set()

    @property
    def row(self) -> Row:
        """The row as it was claimed, or as this hold last saved it.

        A renewal leaves it as it was: what was counted onto it meanwhile was not known when its holder looked.
        """
        return self._row

    @property
    def lost(self) -> bool:
        """Whether it is ours no longer."""
        return self._lost

    @property
    def withdrawn(self) -> bool:
        """Whether it is gone because we took it back."""
        return self._withdrawn

    @property
    def is_shielded(self) -> bool:
        """Whether what is going on must not be cancelled."""
        return self._shielded

    def left(self) -> float:
        """Seconds left of the lease."""
        return 0.0 if self._lost else self._until - self._monotonic()

    async def save(self, save: Save) -> None:
        """Write what was decided. Raises LeaseLost, IllegalStep, OwnedByAnother, StoreTrouble."""

        async def write() -> None:
            self._row = await self._table.save(self._row.id, self._row.token, save)
            self._unsure = self._shielded = False

        await self._to_its_end(write)

    def progressed(self) -> None:
        """Something was achieved that no save tells of: the next renewal clears the count of fruitless claims."""
        self._progressed = True

    async def renew(self) -> float:
        """Hold for a full lease more; the seconds that leaves. Raises LeaseLost, StoreTrouble.

        A paid request starts only right after this. One renewal serves all who asked before it began.
        """

        async def write() -> None:
            self._renewal = None
            since = self._monotonic()
            await self._table.renew(self._row.id, self._row.token, progress=self._progressed)
            self._until = since + self._lease

        if self._renewal is None or self._renewal.done():
            self._renewal = self._begun(write)
        await asyncio.shield(self._renewal)
        return self.left()

    async def hand_back(self, due_at: float, *, progress: bool) -> None:
        """Let go of the row as it was last saved, to be looked at again at `due_at`. Raises LeaseLost, StoreTrouble."""

        async def write() -> None:
            row = self._row
            if row.ended or not row.lease_until:
                return
            if self._unsure:
                # A save failed; whether it was written is not known, and its facts must not be overwritten.
                row = await self._table.renew(row.id, row.token)
            save = Save(
                status=row.status,
                facts=row.facts,
                due_at=due_at,
                progress=progress,
                parked=row.parked,
                queue=row.queue,
                wants=row.wants,
            )
            self._row = await self._table.save(row.id, row.token, save)
            self._shielded = False

        await self._to_its_end(write)

    async def withdraw(self) -> None:
        """Take the row back as if it had never been added; the hold is over. Raises LeaseLost, StoreTrouble."""

        async def write() -> None:
            await self._table.withdraw(self._row.id, self._row.token)
            self._lost = self._withdrawn = True

        await self._to_its_end(write)

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """What goes on inside is not cancelled when the worker stops: it must end by itself, and soon.

        Nor is what follows, until it is saved: what was paid for inside must not be forgotten.
        """
        self._shielded = True
        yield

    async def _to_its_end(self, write: Callable[[], Coroutine[object, object, None]]) -> None:
        """One write at a time, each in a task of its own, which a cancelled caller leaves behind."""
        await asyncio.shield(self._begun(write))

    def _begun(self, write: Callable[[], Coroutine[object, object, None]]) -> "asyncio.Task[None]":
        task = asyncio.create_task(self._guarded(write))
        self._writes.add(task)
        task.add_done_callback(self._written)
        return task

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writes.discard(task)
        if not task.cancelled():
            task.exception()

    async def _guarded(self, write: Callable[[], Coroutine[object, object, None]]) -> None:
        async with self._turn:
            if self._lost:
                raise LeaseLost
            try:
                await write()
            except LeaseLost:
                self._lost = True
                raise
            except StoreTrouble:
                self._unsure = True
                raise
