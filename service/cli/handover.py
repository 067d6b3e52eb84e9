"""How far a backfill is: told as it goes, and remembered only as far as the end needs it."""

from collections.abc import Sequence
from typing import Final

from service.cli.complaints import sentences
from service.cli.figures import count
from service.cli.screen import note
from service.cli.submission import Order, Submitted, tell
from service.domain.errors import Refused

TELL_EVERY: Final = 100
"""Recordings between two lines about how far we are."""


class Handover:
    """The jobs of the recordings so far.

    They are kept for `--json` and `--wait` alone: otherwise a million recordings take no more memory than a hundred.
    """

    def __init__(self, order: Order, total: int) -> None:
        self._order = order
        self._total = total
        self._untold: list[Submitted] = []
        self._jobs: list[Submitted] = []
        self.handed = 0
        self.new = 0
        self.complete = True
        """Whether each recording could be read."""

    @property
    def jobs(self) -> Sequence[Submitted]:
        """Empty unless somebody needs them at the end."""
        return self._jobs

    def add(self, each: Submitted) -> None:
        """The next one."""
        self.handed += 1
        self.new += each.new
        if self._order.json or self._order.wait:
            self._jobs.append(each)
        self._untold.append(each)
        if self.handed % TELL_EVERY == 0:
            self.tell()
            note(f"{self.handed:,} of {count(self._total, 'recording')}")

    def miss(self, refused: Refused) -> None:
        """One that cannot be taken."""
        self.complete = False
        for sentence in sentences(refused):
            note(f"error: {sentence}")

    def tell(self) -> None:
        """The lines of those that have none yet."""
        if self._untold and not self._order.json:
            tell(self._untold, self._order)
        self._untold.clear()

    def summary(self) -> str:
        return f"{count(self.new, 'new job')}, {self.handed - self.new:,} known already"
