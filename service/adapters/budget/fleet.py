"""The rate budget that all replicas share: windows in the job store, corrected by each answer that says otherwise."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from service.domain.models import allowance
from service.domain.models.allowance import Granted, Terms, Told, Window, model_of, queue_of
from service.engine import rules
from service.engine.errors import StoreTrouble
from service.engine.row import Lane, Row, Waiting
from service.ports.budget import Standing
from service.ports.store import Budgets, Queues

MOST_MODELS: Final = 1_000
"""Models that only the vendor names are not remembered without end."""
LONGEST_NAME: Final = 200


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What an answer told, and when its request was sent."""

    told: Told | None
    sent_at: float


class FleetBudget:
    """Implements `ports.RateBudget`. To be used from one event loop. `clock` gives epoch seconds."""

    def __init__(self, budgets: Budgets, queues: Queues, *, terms: Terms, clock: Callable[[], float]) -> None:
        self._budgets = budgets
        self._queues = queues
        self._terms = terms
        self._clock = clock
        self._seen: dict[str, Window] = {}
        self._observed: defaultdict[str, list[Observation]] = defaultdict(list)
        self._correcting: dict[str, asyncio.Task[None]] = {}

    async def take(self, model: str, wanted: int, *, newcomer: Row | None = None) -> Granted:
        if newcomer is not None and await self._overtakes(model, newcomer):
            return Granted(count=0, wait=allowance.UNHEARD_PAUSE, opened_at=0.0)
        granted: list[Granted] = []

        def decide(window: Window) -> Window:
            after, given = allowance.grant(window, self._clock(), wanted, self._terms)
            granted.append(given)
            return after

        self._seen[model] = await self._budgets.change(model, decide)
        return granted[-1]

    async def give_back(self, model: str, granted: Granted) -> None:
        self._seen[model] = await self._budgets.change(
            model, lambda window: allowance.given_back(window, self._clock(), granted)
        )

    async def exhausted(self, model: str, retry_after: float) -> None:
        self._seen[model] = await self._budgets.change(
            model, lambda window: allowance.blocked(window, self._clock(), retry_after)
        )

    async def line(self, model: str, limit: int, served: int) -> Sequence[Waiting]:
        queue = queue_of(model)
        fresh, backfill = await asyncio.gather(*(self._queues.heads(queue, lane, limit) for lane in Lane))
        return rules.in_turn(fresh, backfill, served)[:limit]

    async def wait(self, model: str) -> float:
        requests = sum(each.wants for each in await self._queues.depths(queue_of(model)))
        return allowance.lasting(self._seen.get(model, Window()), requests, self._terms)

    async def standings(self) -> Sequence[Standing]:
        windows, depths = await asyncio.gather(self._budgets.all(), self._queues.depths())
        self._seen |= windows
        now = self._clock()
        models = sorted({*windows, *(model_of(each.queue) for each in depths)})
        waiting = {model: [each for each in depths if each.queue == queue_of(model)] for model in models}
        return [
            self._standing(
                model,
                windows.get(model, Window()),
                now,
                queued=sum(each.rows for each in waiting[model]),
                requests=sum(each.wants for each in waiting[model]),
            )
            for model in models
        ]

    def _standing(self, model: str, window: Window, now: float, *, queued: int, requests: int) -> Standing:
        return Standing(
            model=model,
            allowance=allowance.allowance(window, self._terms),
            granted=allowance.used(window, now),
            ends_at=window.ends_at if window.ends_at is not None and now < window.ends_at else None,
            queued=queued,
            requests=requests,
            seconds=allowance.lasting(window, requests, self._terms),
        )

    def observe(self, model: str, headers: Mapping[str, str], took: float) -> None:
        """Learn from the headers of an answer, whatever its status, to a question that named `model`.

        `took`: seconds from the question to the answer. It is only written down where it is news.
        """
        told, sent_at = allowance.told(headers), self._clock() - took
        counted = headers.get("x-ratelimit-model", model)[:LONGEST_NAME] if told else model
        if counted not in self._seen and len(self._seen) >= MOST_MODELS:
            counted = model
        self._note(counted, Observation(told=told, sent_at=sent_at))
        if counted != model:
            self._note(model, Observation(told=None, sent_at=sent_at))

    async def settled(self) -> None:
        """What was learned is written, or could not be."""
        while self._correcting:
            await asyncio.wait(list(self._correcting.values()))

    async def _overtakes(self, model: str, newcomer: Row) -> bool:
        lanes = [Lane.FRESH] if newcomer.lane is Lane.FRESH else list(Lane)
        found = await asyncio.gather(*(self._queues.heads(queue_of(model), lane, 1) for lane in lanes))
        return any(rules.precedes(head, newcomer) for heads in found for head in heads)

    def _note(self, model: str, observation: Observation) -> None:
        seen = self._seen.get(model, Window())
        if self._learned(seen, [observation]) is seen:
            return
        self._observed[model].append(observation)
        if model not in self._correcting:
            self._correcting[model] = asyncio.ensure_future(self._correct(model))

    async def _correct(self, model: str) -> None:
        """Write what was learned, all that came meanwhile together. What cannot be written, the next answer tells."""
        try:
            while observations := self._observed.pop(model, None):
                with suppress(StoreTrouble):
                    self._seen[model] = await self._budgets.change(model, self._learning(observations))
        finally:
            del self._correcting[model]

    def _learning(self, observations: Sequence[Observation]) -> Callable[[Window], Window]:
        return lambda window: self._learned(window, observations)

    def _learned(self, window: Window, observations: Sequence[Observation]) -> Window:
        now = self._clock()
        for each in observations:
            window = allowance.observed(window, now, each.told, sent_at=each.sent_at)
        return window
