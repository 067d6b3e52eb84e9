"""Falling back by ourselves: what each model is asked, what is left out, and what is told when none is left."""

from typing import Any

from service.domain.asking.fallbacks import none_left, requests, without
from service.domain.errors import AnswerInvalid, Code, ModelRefused, NoRoom

REQUEST: dict[str, Any] = {
    "model": "a",
    "max_tokens": 10,
    "messages": [],
    "fallbacks": [{"model": "b", "max_tokens": 20}, {"model": "c"}, {"model": "d", "max_tokens": 40}],
}


def test_each_fallback_is_asked_with_its_overrides_and_those_behind_it_as_they_were_meant() -> None:
    first, second, third, last = requests(REQUEST)
    assert first == REQUEST
    assert second == {
        "model": "b",
        "max_tokens": 20,
        "messages": [],
        # Behind `b` the Gateway would ask `c` with b's 20.
        "fallbacks": [{"model": "c", "max_tokens": 10}, {"model": "d", "max_tokens": 40}],
    }
    assert third == {
        "model": "c",
        "max_tokens": 10,
        "messages": [],
        "fallbacks": [{"model": "d", "max_tokens": 40}],
    }
    assert last == {"model": "d", "max_tokens": 40, "messages": []}


def test_a_fallback_that_would_inherit_what_was_never_meant_for_it_is_not_passed_on() -> None:
    request = {"model": "a", "messages": [], "fallbacks": [{"model": "b", "temperature": 0.0}, {"model": "c"}]}
    assert requests(request)[1] == {"model": "b", "temperature": 0.0, "messages": []}
    assert requests(request)[2] == {"model": "c", "messages": []}


def test_without_the_fallback_that_is_refused() -> None:
    assert without(REQUEST, ModelRefused("no", model="a")) is None
    assert without(REQUEST, ModelRefused("no")) is None
    left = without(REQUEST, ModelRefused("no", model="c"))
    assert left is not None
    assert left["fallbacks"] == [{"model": "b", "max_tokens": 20}, {"model": "d", "max_tokens": 40}]
    alone = without(REQUEST, ModelRefused("no", in_doubt=True))
    assert alone == {"model": "a", "max_tokens": 10, "messages": []}
    assert without(alone, ModelRefused("no", in_doubt=True)) is None


def test_the_end_names_every_model_and_an_invalid_answer_is_what_is_told() -> None:
    refused, small = ModelRefused("model a is not supported", model="a"), NoRoom("b has a context of 5 tokens")
    assert none_left([("a", refused)]) is refused
    both = none_left([("b", small), ("a", refused)])
    assert both.code is Code.PROMPT_TOO_LONG
    assert both.message == "no model could answer: b has a context of 5 tokens; model a is not supported"
    invalid = AnswerInvalid("not JSON", raw="What?", request_id="r")
    told = none_left([("c", invalid), ("a", refused)])
    assert isinstance(told, AnswerInvalid)
    assert (told.raw, told.message) == ("What?", "no model could answer: c: not JSON; model a is not supported")
