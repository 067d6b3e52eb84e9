"""Keeping away from an API that said it is asked too much."""

from collections.abc import Callable


class Holdback:
    """Until when this process leaves an API alone; one for all callers, so that none keeps the block alive."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = 0.0

    def left(self) -> float:
        """Seconds still to keep away; 0 when there is nothing to keep away from."""
        return max(0.0, self._until - self._clock())

    def refused(self, seconds: float) -> None:
        """The other side asked to be left alone for so many seconds."""
        self._until = max(self._until, self._clock() + seconds)
