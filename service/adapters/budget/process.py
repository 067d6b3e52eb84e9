"""A rate budget within one process, corrected by each answer."""

from collections.abc import Callable, Mapping
from typing import Final

from service.adapters.budget.window import Told, Window, blocked, grant, observed

LONGEST_RESET: Final = 3600.0

_MOST_MODELS: Final = 1_000
_SERVICE: Final = "llmgw"
_MOST_FIGURES: Final = 9


class ProcessBudget:
    """Implements `ports.RateBudget`. To be used from one event loop.

    `share` (0 to 1) is this deployment's part of the account's allowance; `unheard` is how many questions may be out
    to a model before its first answer; `monotonic` gives seconds.
    """

    def __init__(self, *, share: float, unheard: int, monotonic: Callable[[], float]) -> None:
        self._share = share
        self._unheard = max(1, unheard)
        self._monotonic = monotonic
        self._windows: dict[str, Window] = {}

    async def take(self, model: str) -> float:
        """Seconds to wait before asking `model`; 0 means: one request is granted."""
        window = self._windows.get(model, Window())
        self._windows[model], wait = grant(window, self._monotonic(), share=self._share, unheard=self._unheard)
        return wait

    async def exhausted(self, model: str, retry_after: float) -> None:
        """The other side refused: nobody asks `model` for so many seconds."""
        self._windows[model] = blocked(self._windows.get(model, Window()), self._monotonic(), retry_after)

    def observe(self, model: str, headers: Mapping[str, str]) -> None:
        """Learn from the headers of an answer to a question that named `model`, whatever its status."""
        told = _told(headers)
        counted = headers.get("x-ratelimit-model", model) if told else model
        if counted not in self._windows and len(self._windows) >= _MOST_MODELS:
            counted = model
        self._windows[counted] = observed(self._windows.get(counted, Window()), self._monotonic(), told)
        if counted != model and model in self._windows:
            self._windows[model] = observed(self._windows[model], self._monotonic(), None)


def _told(headers: Mapping[str, str]) -> Told | None:
    """The window that the headers describe; None when they are not all there, or speak of another service."""
    if headers.get("x-ratelimit-service", _SERVICE) != _SERVICE:
        return None
    limit = _whole(headers.get("x-ratelimit-limit"))
    remaining = _whole(headers.get("x-ratelimit-remaining"))
    reset = _whole(headers.get("x-ratelimit-reset"))
    if limit is None or limit < 1 or remaining is None or reset is None or not 0 <= reset <= LONGEST_RESET:
        return None
    return Told(limit=limit, remaining=remaining, reset=float(reset))


def _whole(value: str | None) -> int | None:
    """A whole number of at most nine digits; a fraction is rounded up, so that we never wait too short."""
    digits = (value or "").strip()
    whole, _, fraction = digits.partition(".")
    sign, figures = (-1, whole[1:]) if whole.startswith("-") else (1, whole)
    if not (figures.isascii() and figures.isdigit() and len(figures) <= _MOST_FIGURES):
        return None
    return sign * int(figures) + (1 if fraction.strip("0") and sign > 0 else 0)
