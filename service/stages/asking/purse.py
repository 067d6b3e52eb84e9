"""What one job may ask now: what it was granted when it was called out of a queue, and what it takes besides."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Final

from service.domain.errors import ServiceError
from service.domain.models.allowance import Granted
from service.engine.errors import StoreTrouble
from service.engine.row import Row
from service.ports.budget import RateBudget

GATHER: Final = 0.25
"""Seconds that whoever asks waits at most for others who may be about to."""

NOTHING: Final = Granted(count=0, wait=0.0, opened_at=0.0)


class Queued(ServiceError):
    """There is no budget for the model: the job waits in its queue. `wait`: seconds until there may be some."""

    def __init__(self, model: str, wait: float) -> None:
        super().__init__(f"the allowance of {model} is spent for now")
        self.model = model
        self.wait = wait


class Hand:
    """One of those who spend from a purse."""

    def __init__(self, purse: "Purse") -> None:
        self._purse = purse
        self._preparing = True

    async def spend(self, model: str) -> None:
        """As Purse.spend."""
        self.ready()
        await self._purse.spend(model)

    def hand(self) -> "AbstractContextManager[Hand]":
        """As Purse.hand: another one."""
        return self._purse.hand()

    def ready(self) -> None:
        """Nobody needs to wait for this one any more."""
        if self._preparing:
            self._preparing = False
            self._purse.prepared()


class Grants:
    """What was granted to jobs on their way from a queue to a worker of this process."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[str, Granted]] = {}

    def give(self, job_id: str, model: str, granted: Granted) -> None:
        """The job is about to be called up; this is what it may ask."""
        self._given[job_id] = (model, granted)

    def collected(self, job_id: str) -> Mapping[str, Granted]:
        """What the job was granted, by model; only once."""
        given = self._given.pop(job_id, None)
        return {} if given is None else dict([given])


class Purse:
    """The requests that a job may make, by model. What is asked for at the same time is taken in one write.

    `row` is the job's as it was claimed: it says before whom in the queue the job goes.
    """

    def __init__(self, row: Row, given: Mapping[str, Granted], budget: RateBudget) -> None:
        self._row = row
        self._budget = budget
        self._given = dict(given)
        self._preparing = 0
        self._gathering: asyncio.TimerHandle | None = None
        self._asked: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._taking: set[asyncio.Task[None]] = set()

    @contextmanager
    def hand(self) -> "Iterator[Hand]":
        """For somebody who may be about to spend: until he does, or will not, the others wait a moment for him."""
        hand = Hand(self)
        self._preparing += 1
        try:
            yield hand
        finally:
            hand.ready()

    def prepared(self) -> None:
        """One of the hands is ready."""
        self._preparing -= 1
        # Whoever is ready spends before this is looked at.
        asyncio.get_running_loop().call_soon(self._gathered)

    async def spend(self, model: str) -> None:
        """One request to the model may be made now. Raises Queued, StoreTrouble."""
        granted = self._given.get(model, NOTHING)
        if granted.count:
            self._given[model] = replace(granted, count=granted.count - 1)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked[model].append(turn)
        self._gathered()
        await turn

    async def close(self) -> None:
        """Give back what was not spent; without the store it is lost with its window."""
        if self._taking:
            await asyncio.wait(self._taking)
        for model, granted in self._given.items():
            if granted.count:
                with suppress(StoreTrouble):
                    await self._budget.give_back(model, granted)
        self._given.clear()

    def _gathered(self) -> None:
        """Take what was asked for once nobody else is about to ask."""
        if not self._asked:
            return
        if not self._preparing:
            self._take()
        elif self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER, self._take)

    def _take(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        for model, turns in self._asked.items():
            task = asyncio.ensure_future(self._taken(model, turns))
            self._taking.add(task)
            task.add_done_callback(self._taking.discard)
        self._asked.clear()

    async def _taken(self, model: str, turns: "list[asyncio.Future[None]]") -> None:
        try:
            granted = await self._budget.take(model, len(turns), newcomer=self._row)
        except StoreTrouble as trouble:
            for turn in turns:
                if not turn.done():
                    turn.set_exception(trouble)
            return
        left = granted.count
        for turn in turns:
            if turn.done():
                continue
            if left:
                left -= 1
                turn.set_result(None)
            else:
                turn.set_exception(Queued(model, granted.wait))
        self._given[model] = replace(granted, count=left)
