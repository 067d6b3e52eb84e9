"""The queues of the models: whoever has budget calls up the jobs at the head, each with all that it wants."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol

import structlog

from service.domain import happened
from service.domain.models.allowance import Granted, model_of, queue_of
from service.engine.errors import StoreTrouble
from service.engine.outage import pause_after
from service.engine.row import RowId, Waiting
from service.stages.context import Context

LOOK_EVERY: Final = 30.0
"""Seconds between two looks for queues that others filled, give or take a fifth."""
BUSY: Final = 0.25
"""Seconds until a full process looks again for a free worker."""
SPREAD: Final = 0.1
"""Seconds over which replicas spread their reach for a new window."""
AT_ONCE: Final = 64
"""Jobs of a queue that are looked at together."""


class Callers(Protocol):
    """Who works on jobs that are called up."""

    @property
    def free(self) -> int:
        """How many could be begun now."""
        ...

    async def begin(self, row_ids: Sequence[RowId], queue: str) -> Sequence[RowId]:
        """Claim these out of their queue and work on them; those that were to be had. Raises StoreTrouble."""
        ...


class Dispatch:
    """A loop for each model that jobs wait for, in this process; what it does, others need not."""

    def __init__(self, context: Context, *, look_every: float = LOOK_EVERY) -> None:
        self._context = context
        self._budget = context.ports.budget
        self._look_every = look_every
        self._callers: Callers | None = None
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._filled: set[str] = set()
        self._served: defaultdict[str, int] = defaultdict(int)

    def queued(self, queue: str) -> None:
        """A job was saved as waiting in this queue."""
        self._see_to(model_of(queue))

    async def serve(self, callers: Callers) -> None:
        """Call up whoever's turn it is, until cancelled. The store's trouble is waited out."""
        self._callers = callers
        try:
            while True:
                with suppress(StoreTrouble):
                    for standing in await self._budget.standings():
                        if standing.queued:
                            self._see_to(standing.model)
                await asyncio.sleep(self._look_every * self._context.random.uniform(0.8, 1.2))
        finally:
            # Who is saved as waiting from now on is seen to elsewhere.
            self._callers = None
            loops = list(self._loops.values())
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    def _see_to(self, model: str) -> None:
        self._filled.add(model)
        if model not in self._loops and self._callers is not None:
            self._loops[model] = asyncio.ensure_future(self._serve(model, self._callers))

    async def _serve(self, model: str, callers: Callers) -> None:
        failures = 0
        try:
            while True:
                self._filled.discard(model)
                try:
                    pause = await self._round(model, callers)
                    failures = 0
                except StoreTrouble as trouble:
                    failures += 1
                    pause = pause_after(failures)
                    structlog.get_logger().warning(happened.JOB_WAITING, model=model, reason=str(trouble))
                if pause is not None:
                    await asyncio.sleep(pause + self._context.random.uniform(0.0, min(SPREAD, pause)))
                elif model not in self._filled:
                    return
        finally:
            del self._loops[model]

    async def _round(self, model: str, callers: Callers) -> float | None:
        """Call up as many as there is budget for; seconds until there may be more, None if nobody waits."""
        free = min(callers.free, AT_ONCE)
        if not free:
            return BUSY
        line = await self._budget.line(model, free, self._served[model])
        if not line:
            return None
        granted = await self._budget.take(model, sum(max(1, each.wants) for each in line))
        begun = await self._call_up(model, shares(line, granted), granted, callers) if granted.count else 0
        return granted.wait if begun else max(granted.wait, BUSY)

    async def _call_up(
        self, model: str, given: Sequence[tuple[Waiting, Granted]], granted: Granted, callers: Callers
    ) -> int:
        """Hand each its share and begin it; how many. What others began meanwhile is given back."""
        for each, share in given:
            self._context.grants.give(each.id, model, share)
        try:
            begun = set(await callers.begin([each.id for each, _ in given], queue_of(model)))
        except StoreTrouble:
            # Whether they were claimed is not known: what they were granted is lost with the window.
            for each, _ in given:
                self._context.grants.collected(each.id)
            raise
        self._served[model] += len(begun)
        unused = 0
        for each, share in given:
            if each.id not in begun:
                self._context.grants.collected(each.id)
                unused += share.count
        if unused:
            await self._budget.give_back(model, replace(granted, count=unused))
        return len(begun)


def shares(line: Sequence[Waiting], granted: Granted) -> Sequence[tuple[Waiting, Granted]]:
    """All that each wants, one after the other, as far as it goes."""
    left, given = granted.count, list[tuple[Waiting, Granted]]()
    for each in line:
        count = min(max(1, each.wants), left)
        if count:
            given.append((each, replace(granted, count=count)))
            left -= count
    return given
