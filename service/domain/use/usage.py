"""What was used, in the units that are billed: tokens, requests, and dollars as far as prices are known."""

from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

PLACES: Final = 9
"""Dollars are told in billionths: the cheapest token costs some tens of them."""
NANO: Final = 10**PLACES


_RARE: Final = frozenset({"cached_input_tokens", "cache_written_tokens", "reasoning_tokens"})


class Usage(BaseModel):
    """What one or more requests to a language model took, by one naming, whichever the vendor used.

    `cached_input_tokens` were read from the provider's cache and `cache_written_tokens` written to it; both are part
    of `input_tokens`, as `reasoning_tokens` are of `output_tokens`. `estimated_cost` in dollars, by the list prices of
    the moment of the answer; None: no price was known of any of it.
    """

    # Stored answers are read and never written again: what a newer replica counted is not lost by overlooking it.
    model_config = ConfigDict(frozen=True, extra="ignore")

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    requests: int = 0
    cached_input_tokens: int = 0
    cache_written_tokens: int = 0
    reasoning_tokens: int = 0
    estimated_cost: float | None = None

    def told(self) -> dict[str, object]:
        """As it stands in results and events: without what few providers tell, where it is nothing."""
        told = self.model_dump(exclude_none=True)
        return {name: count for name, count in told.items() if count or name not in _RARE}


_APART: Final = tuple(name for name in Usage.model_fields if name not in {"total_tokens", "estimated_cost"})
"""The counts that are added and divided each for itself."""


def summed(usages: Iterable[Usage]) -> Usage:
    """All of them together; costs that are not known add nothing."""
    each = list(usages)
    costs = [usage.estimated_cost for usage in each if usage.estimated_cost is not None]
    return Usage(
        total_tokens=sum(usage.total_tokens for usage in each),
        estimated_cost=dollars(sum(map(nanodollars, costs))) if costs else None,
        **{name: sum(getattr(usage, name) for usage in each) for name in _APART},
    )


def split(whole: Usage, weights: Sequence[int]) -> Sequence[Usage]:
    """The parts of those who share a request, by their weights; `summed` they are the whole again, to the token.

    What cannot be divided evenly, the request itself included, goes to the largest remainders, the first of equals
    first. Weights are not negative; where all are 0 they count as equal. Raises ValueError without any.
    """
    counts = {name: shares(getattr(whole, name), weights) for name in _APART}
    # Beyond input and output some models tell a total of their own: only the difference is divided apart.
    beyond = shares(whole.total_tokens - whole.input_tokens - whole.output_tokens, weights)
    cost = whole.estimated_cost
    costs = None if cost is None else [dollars(part) for part in shares(nanodollars(cost), weights)]
    return [
        Usage(
            total_tokens=counts["input_tokens"][at] + counts["output_tokens"][at] + beyond[at],
            estimated_cost=None if costs is None else costs[at],
            **{name: counts[name][at] for name in _APART},
        )
        for at in range(len(weights))
    ]


def shares(amount: int, weights: Sequence[int]) -> Sequence[int]:
    """Whole parts that add up to the amount, by the largest remainder. Raises ValueError as `split`."""
    if not weights or min(weights) < 0:
        raise ValueError("there is nobody to share with, or a weight is negative")
    if amount < 0:
        return [-part for part in shares(-amount, weights)]
    among = weights if any(weights) else [1] * len(weights)
    parts, remainders = zip(*(divmod(amount * weight, sum(among)) for weight in among), strict=True)
    left = amount - sum(parts)
    lucky = sorted(range(len(among)), key=lambda at: -remainders[at])[:left]
    return [part + (at in lucky) for at, part in enumerate(parts)]


def nanodollars(cost: float) -> int:
    """Billionths of a dollar: whole numbers add up exactly."""
    return round(cost * NANO)


def dollars(nano: int) -> float:
    return round(nano / NANO, PLACES)
