"""What the store says of all jobs together, for people and for alarms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.domain.job import Status
from service.ports.budget import RateBudget, Standing
from service.ports.store import Count, Jobs, Lately

RATE_OVER: Final = 600.0
"""Seconds over which the rate is taken that a backlog is measured by."""
OURS: Final = frozenset({Status.RECEIVED, Status.TRANSCRIBED, Status.DECIDED})
"""Where a job waits for us, and not for the vendor."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The counts as they stand `now` (epoch seconds), and what has happened in the last RATE_OVER seconds."""

    now: float
    counts: Sequence[Count]
    lately: Lately
    models: Sequence[Standing] = ()

    def total(self, status: str) -> int:
        """Jobs of that status, in whichever lane."""
        return sum(each.rows for each in self.counts if each.status == status)

    @property
    def by_status(self) -> Mapping[str, int]:
        """All that are ours, those without a job too; and what else there is."""
        return {status: self.total(status) for status in (*Status, *sorted({each.status for each in self.counts}))}

    @property
    def due(self) -> int:
        return sum(each.due for each in self.counts)

    @property
    def parked(self) -> int:
        return sum(each.parked for each in self.counts)

    @property
    def limited(self) -> int:
        """Jobs that wait at the monthly limit of their pipeline."""
        return sum(each.limited for each in self.counts)

    @property
    def queued(self) -> int:
        """Jobs that wait for a model's allowance."""
        return sum(each.queued for each in self.models)

    @property
    def waiting(self) -> int:
        """Jobs that are at the vendor."""
        return self.total(Status.SUBMITTED)

    @property
    def failed(self) -> int:
        return self.total(Status.FAILED)

    @property
    def backlog(self) -> float | None:
        """Seconds until what waits for us, and not for another month, is done; None while that cannot be told.

        What waits for a model by the rate that it is asked at, the rest at the rate of the last ten minutes.
        """
        longest = max((each.seconds for each in self.models), default=0.0)
        # The counts and the queues are looked at one after the other, and may differ.
        ours = sum(each.rows - each.limited for each in self.counts if each.status in OURS)
        waiting = max(0, ours - self.queued)
        if not waiting:
            return longest
        if not self.lately.ended:
            return longest or None
        return max(longest, waiting * RATE_OVER / self.lately.ended)

    @property
    def oldest_due_at(self) -> float | None:
        return min((each.oldest_due_at for each in self.counts if each.oldest_due_at is not None), default=None)

    @property
    def oldest_due_seconds(self) -> float:
        """For how long the oldest due job is due; 0 while nothing is."""
        return max(0.0, self.now - self.oldest_due_at) if self.oldest_due_at is not None else 0.0


async def overview(jobs: Jobs, budget: RateBudget, now: float) -> Overview:
    """What the store says `now`, epoch seconds. Raises StoreTrouble."""
    models = await budget.standings()
    return Overview(now=now, counts=await jobs.counts(), lately=await jobs.lately(now - RATE_OVER), models=models)
