"""The watch over the models: the catalogue heard anew every so often, and what it says against the pipelines told."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final

import structlog

from service.domain import happened
from service.domain.errors import Problem, ServiceError
from service.domain.models.catalogue import Models
from service.domain.models.fitness import Findings, fitness
from service.domain.pipelines.whereabouts import Whereabouts
from service.domain.tally import CATALOGUE_HEARD, MODEL_DOUBTS, Tally
from service.ports.vendor import Catalogue
from service.stages.context import Context

HEAR_EVERY: Final = 600.0
"""Seconds between two hearings, a tenth more or less."""
SOONEST: Final = 10.0
"""Seconds that are left between two hearings at least, however many models are refused."""


class ModelWatch:
    """Tells each finding once, and once that it is over. Whatever it finds, or does not hear, stops nothing.

    `judge` compares what was heard with the pipelines; `clock` in epoch seconds.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        judge: Callable[[Models], Findings],
        *,
        tally: Tally,
        clock: Callable[[], float],
        random: Random,
        every: float = HEAR_EVERY,
    ) -> None:
        self._catalogue = catalogue
        self._judge = judge
        self._tally = tally
        self._clock = clock
        self._random = random
        self._every = every
        self._soonest = min(SOONEST, every / 10)
        self._failures = 0
        self._told = Findings()
        self._log = structlog.get_logger()

    async def watch(self) -> None:
        """Hear at once, then again and again until cancelled; sooner where a model was doubted, or nothing heard."""
        while True:
            await self._hear()
            # Also when nothing was heard: a date may have come near meanwhile.
            self._compare()
            await self._rest()

    async def _hear(self) -> None:
        first = self._catalogue.models is None
        try:
            await self._catalogue.refresh()
        except Exception as error:  # noqa: BLE001  # whatever it is: this is advice, and must not stop the work
            self._failures += 1
            if self._failures == 1:
                reason = str(error) if isinstance(error, ServiceError) else type(error).__name__
                self._log.warning(happened.CATALOGUE_UNHEARD, reason=reason, known=not first)
            return
        models = self._catalogue.models
        if first or self._failures:
            self._log.info(happened.CATALOGUE_HEARD, models=len(models or ()))
        self._failures = 0
        self._tally.gauge(CATALOGUE_HEARD, self._clock())

    def _compare(self) -> None:
        models = self._catalogue.models
        if models is None:
            return
        found, told = self._judge(models), self._told
        self._told = found
        for problem in found.problems:
            if problem not in told.problems:
                self._log.error(happened.MODEL_DOUBTED, **_fields(problem))
        for warning in found.warnings:
            if warning not in told.warnings:
                self._log.warning(happened.MODEL_DOUBTED, **_fields(warning))
        for over in (*told.problems, *told.warnings):
            if over not in (*found.problems, *found.warnings):
                self._log.info(happened.MODEL_CLEARED, place=over.place, what=over.what)
        self._tally.gauge(MODEL_DOUBTS, len(found.problems) + len(found.warnings))

    async def _rest(self) -> None:
        pause = self._every * self._random.uniform(0.9, 1.1)
        if self._failures:
            pause = min(pause, self._soonest * 2.0 ** min(self._failures - 1, 10))
        await asyncio.sleep(self._soonest)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(pause - self._soonest, 0)):
                await self._catalogue.doubted()


def watch_over(context: Context, whereabouts: Whereabouts, every: float) -> ModelWatch:
    """The watch over the models of the service's pipelines, which are written at `whereabouts`."""
    return ModelWatch(
        context.ports.catalogue,
        lambda models: fitness(context.pipelines, whereabouts, models, context.now()),
        tally=context.tally,
        clock=context.clock,
        random=context.random,
        every=every,
    )


def _fields(problem: Problem) -> dict[str, str]:
    return {"place": problem.place, "what": problem.what, "cure": problem.cure}
