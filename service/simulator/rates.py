"""Rate windows: so many calls per window and name, refused ones counted too."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where a name stands in its window after one more call; `remaining` goes below zero."""

    limit: int
    remaining: int
    reset_seconds: int

    @property
    def exceeded(self) -> bool:
        return self.remaining < 0

    def headers(self, model: str, service: str) -> dict[str, str]:
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_seconds),
            "X-RateLimit-Model": model,
            "X-RateLimit-Service": service,
        }
        return headers | ({"Retry-After": str(self.reset_seconds)} if self.exceeded else {})


class Windows:
    """One fixed window per name. Names come from a closed list, so their number is bounded."""

    def __init__(self, limit: int, seconds: float, now: Callable[[], float]) -> None:
        self._limit = limit
        self._seconds = seconds
        self._now = now
        self._windows: dict[str, tuple[float, int]] = {}

    def count(self, name: str) -> Standing:
        """Counts a call, also one that is then refused."""
        now = self._now()
        ends, used = self._windows.get(name, (0.0, 0))
        if now >= ends:
            ends, used = now + self._seconds, 0
        self._windows[name] = (ends, used + 1)
        return Standing(limit=self._limit, remaining=self._limit - used - 1, reset_seconds=math.ceil(ends - now))

    def clear(self) -> None:
        self._windows.clear()
