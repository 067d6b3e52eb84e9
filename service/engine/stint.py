"""A worker's time with one row: stage after stage under one lease, from the claim to the hand-back."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from service.engine.errors import LeaseLost, StoreTrouble
from service.engine.hold import Hold
from service.engine.outage import Outage, pause_after
from service.engine.row import Save
from service.engine.rules import pause

JOB_CRASHED: Final = "job.crashed"
JOB_LEASE_LOST: Final = "job.lease_lost"
JOB_HANDED_BACK: Final = "job.handed_back"

RENEWALS_A_LEASE: Final = 3
LOOK_AT_SHIELD: Final = 0.05
ENDS_WITHIN: Final = 1.0
"""Seconds that a stage which is given up has to end; what it still does then is fenced off by the lease."""

Run = Callable[[Hold], Awaitable[Save]]


class Stint:
    """Works on one held row until it has ended, must wait, or is handed back."""

    def __init__(
        self,
        hold: Hold,
        run: Run,
        *,
        lease: float,
        clock: Callable[[], float],
        stopping: Callable[[], bool],
        queued: Callable[[str], None],
        outage: Outage,
    ) -> None:
        self._hold = hold
        self._run = run
        self._lease = lease
        self._clock = clock
        self._stopping = stopping
        self._queued = queued
        self._outage = outage
        self._log = structlog.get_logger()
        self._running: asyncio.Future[Save] | None = None
        self._interrupted = False

    @property
    def is_shielded(self) -> bool:
        """Whether what runs must not be cancelled."""
        return self._hold.is_shielded

    async def work(self) -> None:
        """Whatever happens in it, the row is saved, handed back or lost at the end.

        Raises only CancelledError, and then the row is given up as it is: others get it when its lease has run out.
        """
        renewing = asyncio.create_task(self._renew())
        try:
            while await self._stage():
                pass
        except LeaseLost:
            if not self._hold.withdrawn:
                self._log.warning(JOB_LEASE_LOST, job_id=self._hold.row.id)
        except Exception as error:  # noqa: BLE001  a bug in one job must not take its neighbours along
            self._crashed(error)
        finally:
            renewing.cancel()
            if self._running is not None:
                self._running.cancel()
                await asyncio.wait([self._running], timeout=ENDS_WITHIN)

    async def interrupt(self) -> None:
        """Cancel the stage that runs, but nothing that is shielded, and wait until it has ended."""
        self._interrupted = True
        running = self._running
        while running and not running.done() and self._hold.is_shielded:
            await asyncio.wait([running], timeout=LOOK_AT_SHIELD)
        if running and not running.done():
            running.cancel()
            await asyncio.wait([running])

    async def _stage(self) -> bool:
        """Do the stage that is due; whether to go on with the next one."""
        if self._stopping():
            await self._hand_back()
            return False
        self._running = asyncio.ensure_future(self._run(self._hold))
        await asyncio.wait([self._running])
        if self._running.cancelled():
            await self._hand_back()
            return False
        try:
            save = self._onward(self._running.result())
            await self._insist(lambda: self._hold.save(save))
            if save.queue is not None:
                self._queued(save.queue)
        except Exception as error:  # noqa: BLE001  told apart there
            await self._failed(cause_of(error))
            return False
        return save.keep_lease

    def _onward(self, save: Save) -> Save:
        """What is due at once is gone on with under the same lease, unless we are stopping."""
        due = save.due_at is not None and save.due_at <= self._clock()
        return replace(save, keep_lease=due and save.progress and not self._stopping())

    async def _failed(self, error: Exception) -> None:
        """The stage decided nothing, or what cannot be saved. Raises LeaseLost if it was that."""
        if isinstance(error, LeaseLost):
            raise error
        not_its_doing = isinstance(error, StoreTrouble)
        if isinstance(error, StoreTrouble):
            self._outage.met(error)
        else:
            self._crashed(error)
        rest = max(pause(self._hold.row.claims + 1), 1.0)
        # The store's trouble is not the row's doing, and must never end it.
        await self._insist(lambda: self._hold.hand_back(self._clock() + rest, progress=not_its_doing))

    def _crashed(self, error: Exception) -> None:
        """Told by kind and place alone: the words of a bug may hold a transcript."""
        row = self._hold.row
        self._log.error(
            JOB_CRASHED, job_id=row.id, claims=row.claims, error=type(error).__name__, place=place_of(error)
        )

    async def _hand_back(self) -> None:
        """Cancelled, or not begun. A stage that cancelled itself made no progress."""
        progress = self._interrupted or self._stopping()
        await self._insist(lambda: self._hold.hand_back(self._clock(), progress=progress))
        self._log.info(JOB_HANDED_BACK, job_id=self._hold.row.id)

    async def _insist(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write as often as it takes: what a stage brought may have been paid for. Raises what is no StoreTrouble."""
        failures = 0
        while True:
            try:
                await write()
            except StoreTrouble as error:
                failures += 1
                self._outage.met(error)
                await asyncio.sleep(pause_after(failures))
            else:
                self._outage.over()
                return

    async def _renew(self) -> None:
        """Keep the lease while the work goes on; when it is lost, so is the work."""
        pause = self._lease / RENEWALS_A_LEASE
        while True:
            await asyncio.sleep(pause)
            try:
                await self._hold.renew()
            except StoreTrouble as error:
                self._outage.met(error)
            except LeaseLost:
                await self.interrupt()
                return


def cause_of(error: Exception) -> Exception:
    """What decides of all that went wrong at once in a stage: a lost lease, else a bug, else the store's trouble."""
    leaves = sorted(
        leaves_of(error), key=lambda leaf: (not isinstance(leaf, LeaseLost), isinstance(leaf, StoreTrouble))
    )
    return leaves[0]


def leaves_of(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for each in error.exceptions:
            yield from leaves_of(each)
    else:
        yield error


def place_of(error: Exception) -> str:
    """The file, line and function that raised it."""
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return "unknown"
    frame, line = frames[-1]
    return f"{Path(frame.f_code.co_filename).name}:{line} {frame.f_code.co_name}"
