"""When to try again, and when to stop: decided from an error, what went before it, the time and a throw of dice."""

from dataclasses import dataclass
from typing import Final

from service.domain.errors import AccountTrouble, Code, OutcomeUnknown, Permanent, StorageTrouble, Throttled, Transient
from service.domain.job import Failure, Trouble

UNTOLD_WAIT: Final = 10.0
"""Seconds after throttling that does not say how long."""

_MOST_DOUBLINGS: Final = 64


@dataclass(frozen=True, kw_only=True)
class Delay:
    """Try again in so many seconds. `counts`: it is an attempt, to be added to the trouble (`counted`)."""

    seconds: float
    counts: bool


@dataclass(frozen=True, kw_only=True)
class GiveUp:
    """Trying again is over; `failure` is fit for an event."""

    failure: Failure


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Pauses from `first` growing by `factor` to `longest` (seconds), each shortened by up to `jitter` of itself.

    Trouble is given up once it has lasted longer than `patience` (seconds). `most_unknown` bounds the attempts whose
    outcome stays unknown where each may be billed; None leaves them to patience.
    """

    first: float = 1.0
    factor: float = 2.0
    longest: float = 300.0
    jitter: float = 0.5
    patience: float = 6 * 3600.0
    most_unknown: int | None = None

    def decide(
        self, error: Transient | Permanent, trouble: Trouble | None, *, now: float, rand: float
    ) -> Delay | GiveUp:
        """What follows `error`, which came on top of `trouble`. `now` in epoch seconds, `rand` from 0 to 1.

        What the other side asked for is never undercut. Throttling and the account's trouble neither count nor end; our
        own storage's trouble counts and does not end.
        """
        if isinstance(error, Permanent):
            return GiveUp(failure=Failure(code=error.code, message=error.message, request_id=error.request_id))
        if isinstance(error, Throttled | AccountTrouble):
            wait = UNTOLD_WAIT if error.retry_after is None else error.retry_after
            return Delay(seconds=wait * (1.0 + 0.1 * rand), counts=False)
        if self._exhausted(error, trouble, now):
            message = f"the trouble outlasted our patience; its last words: {error.message}"
            return GiveUp(failure=Failure(code=Code.VENDOR_UNAVAILABLE, message=message, request_id=error.request_id))
        return Delay(seconds=max(self._pause(trouble, rand), error.retry_after or 0.0), counts=True)

    def _exhausted(self, error: Transient, trouble: Trouble | None, now: float) -> bool:
        if trouble is None or isinstance(error, StorageTrouble):
            return False
        if now - trouble.since > self.patience:
            return True
        most = self.most_unknown
        return most is not None and isinstance(error, OutcomeUnknown) and trouble.unknown + 1 >= most

    def _pause(self, trouble: Trouble | None, rand: float) -> float:
        doublings = min(trouble.attempts, _MOST_DOUBLINGS) if trouble else 0
        longest = min(self.longest, self.first * self.factor**doublings)
        return longest * (1.0 - self.jitter * rand)


def waited(trouble: Trouble | None, seconds: float) -> Trouble | None:
    """The trouble after a wait that was none (throttled, parked): patience does not run out meanwhile."""
    return None if trouble is None else trouble.model_copy(update={"since": trouble.since + max(0.0, seconds)})


def counted(error: Transient, trouble: Trouble | None, *, now: float) -> Trouble:
    """The trouble with this error added to it. The vendor's patience is not used up by our own storage's trouble."""
    unknown = int(isinstance(error, OutcomeUnknown))
    if trouble is None:
        return Trouble(attempts=1, since=now, last=error.message, unknown=unknown)
    since = now if isinstance(error, StorageTrouble) else trouble.since
    return Trouble(attempts=trouble.attempts + 1, since=since, last=error.message, unknown=trouble.unknown + unknown)
