"""What each pipeline has used this month, asked for at most once in some seconds."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from service.domain.use.books import totals
from service.ports.store import Books

KEPT: Final = 10.0
"""Seconds that a month's figures are gone by: no job asks the store for them by itself."""


class Spending:
    """The months' figures as this process last read them. `monotonic` is our own clock, in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._known: dict[str, tuple[str, float, Mapping[str, int]]] = {}
        self._asking = asyncio.Lock()

    async def used(self, pipeline: str, month: str, books: Books) -> Mapping[str, int]:
        """What the pipeline used in that month, by the names of the books' amounts. Raises StoreTrouble."""
        async with self._asking:
            of, until, figures = self._known.get(pipeline, ("", 0.0, {}))
            if of == month and self._monotonic() < until:
                return figures
            figures = totals(await books.month(month, pipeline))
            self._known[pipeline] = (month, self._monotonic() + KEPT, figures)
            return figures
