"""How much backfill is at the vendor, by a count that may be some time old and by what has gone there since."""

from collections.abc import Callable
from typing import Final

COUNT_KEPT: Final = 60.0
"""Seconds after which a count that says the same again is taken for a new one."""


class Room:
    """What this process sent since the count that it goes by: a store whose counts cost much keeps each for a while.

    `monotonic` is our own clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._counted = -1
        self._sent = 0
        self._until = 0.0

    def there(self, counted: int) -> int:
        """How many are at the vendor, as far as we know, where the store counts so many."""
        if counted != self._counted or self._monotonic() >= self._until:
            self._counted, self._sent = counted, 0
            self._until = self._monotonic() + COUNT_KEPT
        return counted + self._sent

    def sent(self) -> None:
        """One more is on its way."""
        self._sent += 1
