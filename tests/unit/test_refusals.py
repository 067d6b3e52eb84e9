"""Refusals for a model's sake are kept in mind for a while, by the form of the request, and told once."""

from typing import Any

from service.domain.errors import ModelRefused
from service.stages.asking.refusals import KEPT, MOST, Refusals

REFUSED = ModelRefused("model a is not supported", model="a")


def request(text: str = "x", **more: Any) -> dict[str, Any]:
    return {"model": "a", "messages": [{"role": "user", "content": text}], "transcript_id": text, **more}


def test_the_like_of_it_is_known_until_the_time_is_over_and_hearing_it_again_adds_none() -> None:
    now = 0.0
    refusals = Refusals(lambda: now)
    assert refusals.known(request()) is None
    assert refusals.remember(request(), REFUSED)
    assert refusals.known(request("another recording")) is REFUSED
    assert refusals.known(request(temperature=0.0)) is None
    now = KEPT - 1
    assert not refusals.remember(request(), REFUSED)
    now = KEPT
    assert refusals.known(request()) is None
    assert refusals.remember(request(), REFUSED)


def test_what_was_too_long_says_nothing_of_the_next() -> None:
    refusals = Refusals(lambda: 0.0)
    assert refusals.remember(request(), ModelRefused("model context limit exceeded", for_length=True))
    assert refusals.known(request()) is None


def test_only_so_many_are_kept_in_mind() -> None:
    refusals = Refusals(lambda: 0.0)
    for number in range(MOST + 1):
        refusals.remember(request(max_tokens=number), REFUSED)
    assert refusals.known(request(max_tokens=0)) is None
    assert refusals.known(request(max_tokens=MOST)) is REFUSED
