"""Monthly limits: what a pipeline would pay for beyond its limit waits at a gate of its own, and is never dropped."""

import asyncio
from contextlib import suppress
from random import Random
from typing import Final

import structlog

from service.domain import happened
from service.domain.use.limits import gate, limited, month, next_month
from service.engine.errors import StoreTrouble
from service.ports.store import Closed
from service.stages.context import Context
from service.stages.gates import Parked
from service.stages.spending import KEPT

SPREAD: Final = 3600.0
"""Seconds after the start of a month over which those come due that nobody freed before."""
LOOKED_AT: Final = 86_400.0
"""Seconds after which a job that waits is looked at in any case, should its gate have opened without it."""
FREED_EVERY: Final = 60.0


class Limited(Parked):
    """The job waits for the next month, or for a higher limit."""

    def __init__(self, closed: Closed, now: float) -> None:
        super().__init__(closed)
        self._now = now

    def until(self, random: Random) -> float:
        """When to come again by itself: early next month, and within a day and a little."""
        looked_at = self._now + LOOKED_AT * random.uniform(1.0, 1.1)
        return min(next_month(self._now) + random.uniform(0.0, SPREAD), looked_at)


async def within_limit(pipeline: str, context: Context) -> None:
    """Returns if the pipeline may pay for more this month. Raises Limited, StoreTrouble.

    Today's pipelines file decides. What is in flight is not known yet: it is counted when its run has been told.
    """
    now = context.now()
    reached = await _reached(pipeline, now, context)
    if reached is None:
        return
    closed, told_first = await context.ports.gates.shut(gate(pipeline), f"the monthly limit of {reached} is reached")
    if told_first:
        structlog.get_logger().warning(happened.PIPELINE_LIMITED, pipeline=pipeline, limit=reached, month=month(now))
    raise Limited(closed, now)


async def freeing(context: Context) -> None:
    """Let go on what a monthly limit keeps no longer, until cancelled."""
    while True:
        with suppress(StoreTrouble):
            await freed(context)
        await asyncio.sleep(FREED_EVERY)


async def freed(context: Context) -> None:
    """Open the gates of limits that are reached no longer: a new month, or another limit. Raises StoreTrouble."""
    for closed in await context.ports.gates.closed():
        pipeline, now = limited(closed.gate), context.now()
        # Figures read before the others' must not open what those have just shut.
        if pipeline is None or now - closed.since < KEPT or await _reached(pipeline, now, context) is not None:
            continue
        if await context.ports.gates.reopen(closed.gate):
            structlog.get_logger().info(happened.PIPELINE_FREED, pipeline=pipeline)


async def _reached(pipeline: str, now: float, context: Context) -> str | None:
    today = context.pipelines.get(pipeline)
    limit = today.monthly_limit if today else None
    if limit is None:
        return None
    return limit.reached(await context.spending.used(pipeline, month(now), context.ports.books))
