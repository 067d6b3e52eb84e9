"""How often we may ask the vendor without having been called: five times a second in all, whatever waits."""

from collections.abc import Callable
from typing import Final

PER_SECOND: Final = 5.0
PATIENCE: Final = 2.0


class Polls:
    """A queue of moments at which this process may poll."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next = 0.0
        self._line_ends = 0.0

    def take(self) -> tuple[float, bool]:
        """Seconds to wait, and whether the moment after them is granted.

        Granted: wait (two seconds at most), then poll. Not granted: come again after so many seconds; those who are
        sent away are spread at the pace of the polls, so that each is served about once it is back.
        """
        now = self._clock()
        moment = max(now, self._next)
        if moment - now <= PATIENCE:
            self._next = moment + 1.0 / PER_SECOND
            return moment - now, True
        self._line_ends = max(now + PATIENCE, self._line_ends) + 1.0 / PER_SECOND
        return self._line_ends - now, False
