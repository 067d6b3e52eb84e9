"""What is due when: one heap and one task, however much waits."""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Awaitable, Callable

Action = Callable[[], None]
Work = Callable[[], Awaitable[None]]


class Agenda:
    """Runs each action once its time has come, in order of due time. Actions must return at once."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action]] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()

    def after(self, seconds: float, action: Action) -> None:
        due = asyncio.get_running_loop().time() + seconds
        heapq.heappush(self._heap, (due, next(self._order), action))
        if self._heap[0][0] == due:
            self._changed.set()

    def clear(self) -> None:
        self._heap.clear()

    async def run(self) -> None:
        """Works until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            while self._heap and self._heap[0][0] <= loop.time():
                heapq.heappop(self._heap)[2]()
            wait = self._heap[0][0] - loop.time() if self._heap else None
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                continue


class Crew:
    """Does work with bounded concurrency, first in first out. What waits is a list entry; idle, there are no tasks."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: deque[Work] = deque()
        self._busy: set[asyncio.Task[None]] = set()

    def add(self, work: Work) -> None:
        self._waiting.append(work)
        if len(self._busy) < self._size:
            task = asyncio.create_task(self._drain())
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)

    def clear(self) -> None:
        self._waiting.clear()

    async def close(self) -> None:
        """Drops what waits, cancels what runs and waits for it."""
        self._waiting.clear()
        running = list(self._busy)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _drain(self) -> None:
        while self._waiting:
            await self._waiting.popleft()()
