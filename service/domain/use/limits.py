"""A pipeline's monthly limit: how much it may use before its work waits for the next month (UTC)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from service.domain.durations import HOUR
from service.domain.job import Fact
from service.domain.use.usage import NANO

PREFIX: Final = "limit:"
"""Begins the names of the gates that stand for a pipeline's limit; the pipeline's name follows."""


class MonthlyLimit(Fact):
    """Any of them; the first that is reached counts. `dollars` are estimates by list prices."""

    dollars: float | None = None
    audio_hours: float | None = None
    requests: int | None = None

    def reached(self, used: Mapping[str, int]) -> str | None:
        """Which limit the month's use (amounts of the books) has come up to, in words; None: there is room."""
        found = (
            (self.dollars, used["nanodollars"] / NANO, "estimated dollars"),
            (self.audio_hours, used["audio_seconds"] / HOUR, "hours of sound"),
            (self.requests, used["requests"], "requests"),
        )
        return next((f"{most:g} {unit}" for most, so_far, unit in found if most is not None and so_far >= most), None)


def gate(pipeline: str) -> str:
    return f"{PREFIX}{pipeline}"


def limited(gate_: str | None) -> str | None:
    """The pipeline whose limit a gate stands for; None for any other gate."""
    return gate_.removeprefix(PREFIX) if gate_ is not None and gate_.startswith(PREFIX) else None


def month(now: float) -> str:
    """The calendar month of a moment (epoch seconds), such as `2026-11`."""
    return datetime.fromtimestamp(now, tz=UTC).strftime("%Y-%m")


def next_month(now: float) -> float:
    """When the next month begins, epoch seconds."""
    today = datetime.fromtimestamp(now, tz=UTC)
    year, month_ = divmod(today.year * 12 + today.month, 12)
    return datetime(year, month_ + 1, 1, tzinfo=UTC).timestamp()
