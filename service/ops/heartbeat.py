"""The heartbeat: one line a minute that alarms are made of, also, and above all, when something is wrong."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from service.domain import happened
from service.stages.overview import Overview

EVERY: Final = 60.0
WITHIN: Final = 15.0
"""Seconds that the store has for its answer; a line without it is better than none."""


class Heartbeat:
    """Tells how things stand. `look` asks the store; `lost` counts the lost callbacks found so far by this process."""

    def __init__(
        self, look: Callable[[], Awaitable[Overview]], lost: Callable[[], float], *, every: float = EVERY
    ) -> None:
        self._look = look
        self._lost = lost
        self._every = every
        self._within = min(WITHIN, every / 2)
        self._told = 0.0

    async def beat(self) -> None:
        """A line at once, and one every `every` seconds, until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self.tell()
            # By the clock and not by pauses: an alarm counts lines in a minute.
            due = max(due + self._every, loop.time())
            await asyncio.sleep(due - loop.time())

    async def tell(self) -> None:
        """One line. Whatever is wrong with the store is a field of it."""
        lost = self._lost()
        found, self._told = lost - self._told, lost
        structlog.get_logger().info(happened.SERVICE_HEARTBEAT, lost=int(found), **figures(await self._looked()))

    async def _looked(self) -> Overview | None:
        try:
            # Not `wait_for`: up to Python 3.11 it forgets a cancellation that comes just as what it waits for ends.
            async with asyncio.timeout(self._within):
                return await self._look()
        except Exception:  # noqa: BLE001  # whatever it is: the heart goes on beating, and says that it knows nothing
            return None


def figures(seen: Overview | None) -> Mapping[str, object]:
    """Always the same fields; null for what is not known."""
    backlog = seen.backlog if seen else None
    return {
        "store_up": seen is not None,
        "due": seen.due if seen else None,
        "oldest_due_seconds": round(seen.oldest_due_seconds, 1) if seen else None,
        "waiting": seen.waiting if seen else None,
        "parked": seen.parked if seen else None,
        "limited": seen.limited if seen else None,
        "queued": seen.queued if seen else None,
        "failed": seen.failed if seen else None,
        "backlog_seconds": None if backlog is None else round(backlog, 1),
        "jobs": {str(status): rows for status, rows in seen.by_status.items()} if seen else None,
    }
