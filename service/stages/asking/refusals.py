"""What the LLM Gateway refused lately for a model's sake, so that not every recording asks and is refused again."""

from collections.abc import Callable
from typing import Final

from service.domain.asking.turns import Request
from service.domain.errors import ModelRefused
from service.domain.pipeline import canonical

KEPT: Final = 300.0
"""Seconds after which a refused model is tried anew."""
MOST: Final = 1_000

_SAID: Final = frozenset({"messages", "transcript_id"})


class Refusals:
    """Refusals by all of a request but what is said in it. `monotonic` is our own clock, in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._known: dict[bytes, tuple[ModelRefused, float]] = {}

    def known(self, request: Request) -> ModelRefused | None:
        """Why a request like this was refused lately."""
        found = self._known.get(_form(request))
        return found[0] if found is not None and self._monotonic() < found[1] else None

    def remember(self, request: Request, refused: ModelRefused) -> bool:
        """Keep it in mind for a while, if the next such request will be refused too. True: it is news."""
        if refused.for_length:
            return True
        if self.known(request) is not None:
            return False
        form = _form(request)
        self._known.pop(form, None)
        self._known[form] = (refused, self._monotonic() + KEPT)
        for oldest in list(self._known)[: max(0, len(self._known) - MOST)]:
            del self._known[oldest]
        return True


def _form(request: Request) -> bytes:
    return canonical({name: value for name, value in request.items() if name not in _SAID})
