"""The store's trouble, told once when it begins and once when it is over, however many workers meet it."""

from typing import Final

import structlog

from service.engine.errors import StoreTrouble

STORE_FAILED: Final = "store.failed"
STORE_RECOVERED: Final = "store.recovered"

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0


class Outage:
    """Whether the store is in trouble, as far as this process has seen."""

    def __init__(self) -> None:
        self._log = structlog.get_logger()
        self._on = False

    def met(self, error: StoreTrouble) -> None:
        if not self._on:
            self._on = True
            self._log.error(STORE_FAILED, reason=str(error))

    def over(self) -> None:
        if self._on:
            self._on = False
            self._log.info(STORE_RECOVERED)


def pause_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row."""
    return min(FIRST_PAUSE * 2.0 ** min(failures - 1, 10), LONGEST_PAUSE)
