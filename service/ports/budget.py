"""Who may ask a model now. Each docstring says what may be raised."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.domain.models.allowance import Granted
from service.engine.row import Row, Waiting


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How things stand with a model: requests a window that are ours (None: no limit is known) and that were granted.

    `ends_at`: when the next window begins (epoch seconds), None while none has begun. `queued` jobs wait for `requests`
    requests, which takes about `seconds`.
    """

    model: str
    allowance: int | None
    granted: int
    ends_at: float | None
    queued: int
    requests: int
    seconds: float


class RateBudget(Protocol):
    """Who may ask a model now, and who waits for that; shared by all who use the store. Raises StoreTrouble."""

    async def take(self, model: str, wanted: int, *, newcomer: Row | None = None) -> Granted:
        """As many of the `wanted` requests as there is room for, in one write.

        A `newcomer`, who has not waited in the model's queue, gets none while others who wait go before it.
        """
        ...

    async def give_back(self, model: str, granted: Granted) -> None:
        """These were granted and will not be made."""
        ...

    async def exhausted(self, model: str, retry_after: float) -> None:
        """The other side refused: nobody asks `model` for so many seconds."""
        ...

    async def line(self, model: str, limit: int, served: int) -> Sequence[Waiting]:
        """At most `limit` jobs that wait for the model, in the order of their turn (`rules.in_turn`)."""
        ...

    async def wait(self, model: str) -> float:
        """Seconds until all that waits for the model is asked, at the present rate."""
        ...

    async def standings(self) -> Sequence[Standing]:
        """How things stand with each model that was ever asked for."""
        ...
