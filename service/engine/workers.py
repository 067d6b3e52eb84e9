"""The loop: claim what is due as long as there is room, and see to it that nothing stays leased at the end."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import structlog

from service.engine.errors import StoreTrouble
from service.engine.hold import Hold
from service.engine.outage import Outage, pause_after
from service.engine.row import Row, RowId
from service.engine.stint import JOB_LEASE_LOST, Run, Stint
from service.engine.table import Table

POLL: Final = 1.0
"""Seconds between two looks for what has come due by itself, give or take a fifth."""

HAND_BACK: Final = 2.0
"""Seconds of the grace that are kept for cancelling and handing back what did not finish."""


class Workers:
    """At most `concurrency` rows in work at once in this process.

    `run` does one stage of the held row and gives the decision; it raises LeaseLost, StoreTrouble, or it is a bug.
    `lease` is the table's own, in seconds. `clock` is the table's clock (epoch seconds), `monotonic` our own.
    """

    def __init__(
        self,
        table: Table,
        run: Run,
        *,
        concurrency: int,
        lease: float,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        random: Random,
        poll: float = POLL,
        queued: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`queued` is told the queue of each row that was saved as waiting in one."""
        self._table = table
        self._run = run
        self._concurrency = concurrency
        self._lease = lease
        self._clock = clock
        self._monotonic = monotonic
        self._random = random
        self._poll = poll
        self._queued = queued
        self._stints: dict[asyncio.Task[None], Stint] = {}
        self._woken: dict[RowId, None] = {}
        self._something = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._stopping = False
        self._outage = Outage()
        self._log = structlog.get_logger()

    @property
    def stopping(self) -> bool:
        """No more work is taken."""
        return self._stopping

    @property
    def free(self) -> int:
        """Rows that could be begun now."""
        return 0 if self._stopping else max(0, self._concurrency - len(self._stints))

    async def begin(self, row_ids: Sequence[RowId], queue: str) -> Sequence[RowId]:
        """Claim these out of their queue and work on them; those that were to be had. Raises StoreTrouble."""
        # In a task of its own: rows that were claimed are worked on even if the caller is cancelled.
        return await asyncio.shield(asyncio.ensure_future(self._called_up(row_ids, queue)))

    async def _called_up(self, row_ids: Sequence[RowId], queue: str) -> Sequence[RowId]:
        async with self._claiming:
            return await self._begin(row_ids, queue)

    def wake(self, row_id: RowId | None = None) -> None:
        """Something is due: take it at once if a worker is free; otherwise it is found when one is, here or elsewhere.

        Any number of calls before the next claim make one claim.
        """
        if len(self._stints) + len(self._woken) >= self._concurrency:
            return
        if row_id is not None:
            self._woken[row_id] = None
        self._something.set()

    async def serve(self) -> None:
        """Claim and work until `stop`; what is in work then goes on. The store's trouble is waited out."""
        failures = 0
        while not self._stopping:
            try:
                # In a task of its own: rows that were claimed are worked on even if this loop is cancelled.
                claimed = await asyncio.shield(asyncio.ensure_future(self._claim()))
            except StoreTrouble as error:
                failures += 1
                self._outage.met(error)
                await self._rest(pause_after(failures))
                continue
            failures = 0
            self._outage.over()
            if not claimed:
                await self._rest(self._poll * self._random.uniform(0.8, 1.2))

    async def stop(self, grace: float) -> None:
        """Take no more work; within `grace` seconds let what runs finish, or cancel it and hand its rows back.

        What is shielded is waited for, for another lease at most: its own timeout is shorter. Nothing is left leased,
        as far as the store can be reached and what was cancelled ends.
        """
        self._stopping = True
        self._something.set()
        ends = self._monotonic() + grace
        async with self._claiming:
            pass
        await self._ended(grace - min(HAND_BACK, grace / 2))
        interrupting = [asyncio.create_task(stint.interrupt()) for stint in self._stints.values()]
        await self._ended(ends - self._monotonic())
        if any(stint.is_shielded for stint in self._stints.values()):
            await self._ended(self._lease)
        for task in [*self._stints, *interrupting]:
            if not task.done():
                task.cancel()
        if self._stints:
            self._log.warning(JOB_LEASE_LOST, reason="not handed back within the grace time", jobs=len(self._stints))
        await asyncio.gather(*self._stints, *interrupting, return_exceptions=True)

    async def _ended(self, seconds: float) -> None:
        """All that is in work has ended, or so many seconds are over."""
        if self._stints:
            await asyncio.wait(list(self._stints), timeout=max(0.0, seconds))

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._something.wait()
        self._something.clear()

    async def _claim(self) -> bool:
        """Whether to look again at once: something was claimed, so that there may be more and room for it."""
        async with self._claiming:
            woken = list(self._woken)
            self._woken.clear()
            claimed = await self._begin(woken) if woken else []
            return len(claimed) + len(await self._begin(None)) > 0

    async def _begin(self, only: Sequence[RowId] | None, queue: str | None = None) -> Sequence[RowId]:
        """Claim into the free places and begin; which."""
        if not self.free:
            return []
        since = self._monotonic()
        rows = await self._table.claim(self.free, only=only, queue=queue)
        for row in rows:
            self._work(row, since)
        return [row.id for row in rows]

    def _work(self, row: Row, since: float) -> None:
        stint = Stint(
            Hold(row, self._table, lease=self._lease, since=since, monotonic=self._monotonic),
            self._run,
            lease=self._lease,
            clock=self._clock,
            stopping=lambda: self._stopping,
            queued=self._queued,
            outage=self._outage,
        )
        task = asyncio.create_task(stint.work(), name=f"work:{row.id}")
        self._stints[task] = stint
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._stints[task]
        self._something.set()
