"""Bounds the bytes of transcripts that are read at the same time, whatever their number."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

MOST: Final = 128 * 1024 * 1024
"""Bytes of transcripts in work at once. Parsed they take about five times as much memory, for a moment."""

UNTOLD: Final = 32 * 1024 * 1024
"""What an answer counts that does not tell its length."""


class InWork:
    """A budget of bytes. First come, first served: a large one is not overtaken for ever by small ones."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._free = most
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, n_bytes: int | None) -> AsyncIterator[None]:
        """Wait until so many bytes (None: untold) are free and keep them for the block.

        What is larger than the whole budget takes all of it and runs alone. Never hold twice in one task: two that
        wait for each other's second part would wait for ever.
        """
        weight = min(max(UNTOLD if n_bytes is None else n_bytes, 1), self._most)
        await self._take(weight)
        try:
            yield
        finally:
            self._give(weight)

    async def _take(self, weight: int) -> None:
        if not self._waiting and weight <= self._free:
            self._free -= weight
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((weight, turn))
        try:
            await turn
        except asyncio.CancelledError:
            # The turn may have come in the very moment of being cancelled; otherwise it is passed over where it stands.
            self._give(0 if turn.cancelled() else weight)
            raise

    def _give(self, weight: int) -> None:
        self._free += weight
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            weight, turn = self._waiting[0]
            if not turn.cancelled():
                if weight > self._free:
                    return
                self._free -= weight
                turn.set_result(None)
            self._waiting.popleft()
