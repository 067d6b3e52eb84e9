"""Which model of the catalogue could do in another's stead."""

import difflib
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final

from service.domain.models.catalogue import Model, Models

SOON: Final = 30 * 86_400.0
"""Seconds before its retirement from which on a model is no choice any more."""
_COMPARED: Final = 100
"""Characters of a name that count; names are the vendor's, and yet they may be anything."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a request needs of a model: parameters, tokens for the answer, and tokens of context in all."""

    parameters: frozenset[str] = frozenset()
    answer: int = 1
    room: int = 1
    besides: frozenset[str] = frozenset()
    """Models that are no choice, since they are asked already."""

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(
            parameters=self.parameters | other.parameters,
            answer=max(self.answer, other.answer),
            room=max(self.room, other.room),
            besides=self.besides | other.besides,
        )


def nearest(name: str, needs: Needs, models: Models, now: float) -> str | None:
    """Another model that would do and will stay (`now`: epoch seconds), the one most like `name`; None if none would.

    The family counts first, then the letters. It must be told of its parameters and its context that they do.
    """
    needs = replace(needs, parameters=needs.parameters & spoken_of(models))
    taken = needs.besides | {name}
    would_do = [each.id for each in models.values() if each.id not in taken and _does(each, needs, now)]
    return max(would_do, key=lambda other: (*_likeness(name, other), other), default=None)


def spoken_of(models: Models) -> frozenset[str]:
    """The parameters that any model is said to take."""
    return frozenset().union(*(each.parameters or () for each in models.values()))


def _does(model: Model, needs: Needs, now: float) -> bool:
    return (
        needs.parameters <= (model.parameters or frozenset())
        and (model.context or 0) >= needs.room
        and (model.most_output is None or model.most_output >= needs.answer)
        and (model.retires_at is None or model.retires_at > now + SOON)
    )


def _likeness(name: str, other: str) -> tuple[int, float]:
    """How many words they begin with alike, and how much of their letters is the same."""
    one, two = name.casefold()[:_COMPARED], other.casefold()[:_COMPARED]
    words = zip(one.split("-"), two.split("-"), strict=False)
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], words))
    return alike, difflib.SequenceMatcher(None, one, two).ratio()
