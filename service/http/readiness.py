"""Whether this process's own engines answer. The vendor is never asked: its trouble is no reason to stop listening."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from service.domain import happened

Check = Callable[[], Awaitable[object]]
"""Asks an engine for something small; raises whatever it likes when the engine does not answer."""


class Readiness:
    """Asks every engine at most once per `lasts` seconds, and waits `within` seconds for them, whoever asks how often.

    `clock` is monotonic. An engine that still owes the last answer is not asked again and counts as failing.
    """

    def __init__(
        self, checks: Mapping[str, Check], *, clock: Callable[[], float], lasts: float = 5.0, within: float = 2.0
    ) -> None:
        self._checks = checks
        self._clock = clock
        self._lasts = lasts
        self._within = within
        self._asked: dict[str, asyncio.Task[bool]] = {}
        self._round: asyncio.Task[tuple[str, ...]] | None = None
        self._known_until = float("-inf")
        self._failing: tuple[str, ...] = ()
        self._log = structlog.get_logger()

    async def failing(self) -> tuple[str, ...]:
        """The names of the engines that do not answer; empty when all do."""
        if self._clock() < self._known_until:
            return self._failing
        if self._round is None or self._round.done():
            self._round = asyncio.create_task(self._ask())
        return await asyncio.shield(self._round)

    async def _ask(self) -> tuple[str, ...]:
        for name, check in self._checks.items():
            if name not in self._asked or self._asked[name].done():
                self._asked[name] = asyncio.create_task(self._answers(check))
        if self._asked:
            await asyncio.wait(self._asked.values(), timeout=self._within)
        failing = tuple(name for name, task in self._asked.items() if not (task.done() and task.result()))
        if failing and failing != self._failing:
            self._log.error(happened.STORE_FAILED, engines=failing)
        elif self._failing and not failing:
            self._log.info(happened.STORE_RECOVERED, engines=self._failing)
        self._failing = failing
        self._known_until = self._clock() + self._lasts
        return failing

    async def _answers(self, check: Check) -> bool:
        try:
            await check()
        except Exception as error:  # noqa: BLE001  # whatever it raises, the engine does not answer
            self._log.debug(happened.STORE_FAILED, error=type(error).__name__)
            return False
        return True
