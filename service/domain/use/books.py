"""The books: what each pipeline used on each day."""

from collections.abc import Iterable, Mapping
from typing import Final

from service.domain.results import StoredResult
from service.domain.use.usage import nanodollars
from service.engine.row import Entry

AMOUNTS: Final = (
    *("recordings", "audio_seconds", "requests", "input_tokens", "output_tokens"),
    *("nanodollars", "unpriced_requests", "unpriced_audio_seconds"),
)
"""What the books count for each pipeline and day. What has no known price is counted apart, never as free."""


def entry_of(result: StoredResult) -> Entry | None:
    """What the run adds to the books, under the day that its outcome was reached; None: it took nothing.

    A recording counts with its first run. Made of the stored result alone, so that whoever repeats it adds the same.
    """
    used = _Used(result.document.get("usage"))
    amounts = {
        "recordings": int(result.run == 1),
        "audio_seconds": used.count("audio_seconds"),
        "requests": used.count("requests"),
        "input_tokens": used.count("input_tokens"),
        "output_tokens": used.count("output_tokens"),
        "nanodollars": nanodollars(used.amount("estimated_cost")),
        "unpriced_requests": used.count("unpriced_requests"),
        "unpriced_audio_seconds": used.count("unpriced_audio_seconds"),
    }
    taken = {name: each for name, each in amounts.items() if each}
    day = result.timings.decided_at[: len("2026-11-30")]
    return Entry(account=result.pipeline, day=day, amounts=taken) if taken else None


def totals(entries: Iterable[Entry]) -> Mapping[str, int]:
    """All of AMOUNTS over some entries."""
    each = list(entries)
    return {name: sum(entry.amounts.get(name, 0) for entry in each) for name in AMOUNTS}


class _Used:
    """The usage of a stored result, whichever version stored it."""

    def __init__(self, told: object) -> None:
        self._told = told if isinstance(told, dict) else {}

    def amount(self, name: str) -> float:
        value = self._told.get(name)
        return float(value) if isinstance(value, int | float) and value > 0 else 0.0

    def count(self, name: str) -> int:
        return int(self.amount(name))
