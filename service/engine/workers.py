"""The loop: claim what is due, run the stage that its status names, save what was decided, go on or hand back."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random
from typing import Final

import structlog

from service.engine.errors import EngineError, LeaseLost, StoreTrouble
from service.engine.hold import Hold
from service.engine.row import Row, RowId, Save
from service.engine.rules import pause
from service.engine.table import Table

POLL: Final = 1.0
"""Seconds between two looks for what has come due by itself."""
HAND_BACK: Final = 2.0
"""Seconds of the grace that are kept for handing back what did not finish."""
LONGEST_OUTAGE_PAUSE: Final = 5.0

CRASHED: Final = "job.crashed"
LEASE_LOST: Final = "job.lease_lost"
HANDED_BACK: Final = "job.handed_back"
STORE_FAILED: Final = "store.failed"
STORE_RECOVERED: Final = "store.recovered"

Run = Callable[[Hold], Awaitable[Save]]


class Workers:
    """At most `concurrency` rows in work at once in this process.

    `run` does one stage of the held row and gives the decision; it raises LeaseLost, StoreTrouble, or it is a bug.
    `clock` is the table's clock (epoch seconds), `monotonic` our own.
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
    ) -> None:
        self._table = table
        self._run = run
        self._concurrency = concurrency
        self._lease = lease
        self._clock = clock
        self._monotonic = monotonic
        self._random = random
        self._held: dict[asyncio.Task[None], Hold] = {}
        self._woken: dict[RowId, None] = {}
        self._something = asyncio.Event()
        self._stopping = False
        self._log = structlog.get_logger()

    @property
    def stopping(self) -> bool:
        """No more work is taken."""
        return self._stopping

    def wake(self, row_id: RowId) -> None:
        """The row is due: take it at once if a worker is free; otherwise it is found when one is."""
        if len(self._held) + len(self._woken) < self._concurrency:
            self._woken[row_id] = None
            self._something.set()

    async def serve(self) -> None:
        """Claim and run until `stop`; what is in work then goes on."""
        trouble = 0
        while not self._stopping:
            try:
                claimed = await self._claim()
            except StoreTrouble as error:
                if not trouble:
                    self._log.error(STORE_FAILED, reason=str(error))
                trouble += 1
                await self._rest(min(0.2 * 2.0**trouble, LONGEST_OUTAGE_PAUSE))
                continue
            if trouble:
                self._log.info(STORE_RECOVERED)
                trouble = 0
            if not claimed:
                await self._rest(POLL * self._random.uniform(0.8, 1.2))

    async def stop(self, grace: float) -> None:
        """Take no more work; within `grace` seconds let what runs finish, or cancel it and hand its rows back.

        What is shielded is waited for. Nothing is left leased, as far as the store can be reached.
        """
        self._stopping = True
        self._something.set()
        ends = self._monotonic() + grace
        running = list(self._held)
        if running:
            await asyncio.wait(running, timeout=max(0.0, grace - HAND_BACK))
        while running := [task for task in self._held if not task.done()]:
            for task in running:
                if not self._held[task].is_shielded or self._monotonic() >= ends + self._lease:
                    task.cancel()
            await asyncio.wait(running, timeout=0.05)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._something.wait(), seconds)
        self._something.clear()

    async def _claim(self) -> bool:
        """Whether anything was claimed."""
        free = self._concurrency - len(self._held)
        if free <= 0:
            await self._rest(POLL)
            return True
        woken = list(self._woken)[:free]
        for row_id in woken:
            del self._woken[row_id]
        since = self._monotonic()
        rows = list(await self._table.claim(free, only=woken)) if woken else []
        if len(rows) < free:
            rows += await self._table.claim(free - len(rows))
        for row in rows:
            self._begin(row, since)
        return bool(rows)

    def _begin(self, row: Row, since: float) -> None:
        hold = Hold(row, self._table, lease=self._lease, since=since, monotonic=self._monotonic)
        task = asyncio.create_task(self._work(hold), name=f"work:{row.id}")
        self._held[task] = hold
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._held[task]
        self._something.set()

    async def _work(self, hold: Hold) -> None:
        """One row, stage after stage, for as long as the lease holds and something is due at once."""
        renewing = asyncio.create_task(self._renew(hold, asyncio.current_task()))
        try:
            while not hold.row.ended and hold.row.lease_until:
                await hold.save(self._onward(await self._run(hold)))
        except asyncio.CancelledError:
            # Cancelled by `stop` or by a lost lease, and by now whatever was going on has ended.
            await self._hand_back(hold)
        except LeaseLost:
            self._log.warning(LEASE_LOST, job_id=hold.row.id)
        except StoreTrouble as error:
            # The lease runs out by itself; whoever claims the row next repeats the stage, which is what stages are for.
            self._log.warning(STORE_FAILED, job_id=hold.row.id, reason=str(error))
        except Exception as error:  # noqa: BLE001  # a bug in one job must not take its neighbours along
            await self._crashed(hold, error)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    def _onward(self, save: Save) -> Save:
        """What is due at once is gone on with under the same lease, unless we are stopping."""
        if save.due_at is None or save.due_at > self._clock() or self._stopping:
            return save
        return replace(save, keep_lease=True)

    async def _renew(self, hold: Hold, work: "asyncio.Task[None] | None") -> None:
        """Keep the lease while the work goes on; when it is lost, so is the work."""
        while True:
            await asyncio.sleep(self._lease / 3)
            try:
                await hold.renew()
            except StoreTrouble:
                continue
            except LeaseLost:
                if work is not None and not hold.is_shielded:
                    work.cancel()
                return

    async def _hand_back(self, hold: Hold) -> None:
        row = hold.row
        save = Save(status=row.status, facts=row.facts, due_at=self._clock(), parked=row.parked)
        try:
            await hold.save(save)
        except EngineError as error:
            self._log.warning(LEASE_LOST, job_id=row.id, reason=str(error))
        else:
            self._log.info(HANDED_BACK, job_id=row.id)

    async def _crashed(self, hold: Hold, error: Exception) -> None:
        row = hold.row
        self._log.error(CRASHED, job_id=row.id, claims=row.claims, exc_info=error)
        due_at = self._clock() + max(1.0, pause(row.claims))
        save = Save(status=row.status, facts=row.facts, due_at=due_at, progress=False, parked=row.parked)
        with contextlib.suppress(EngineError):
            await hold.save(save)
