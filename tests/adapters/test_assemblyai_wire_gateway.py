"""The Gateway's completions as our records, whichever provider answered."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.assemblyai import wire_gateway
from service.adapters.assemblyai.json_values import Garbled
from service.domain.asking.completion import Finish
from service.domain.use.usage import Usage


def completion(**changes: object) -> Any:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Fine."}, "finish_reason": "stop"}
    answer = {"request": {"model": "asked"}, "request_id": "r-1", "model": "told", "choices": [choice]}
    return wire_gateway.completion(json.dumps(answer | changes).encode(), "requested")


def test_a_completion_is_read() -> None:
    usage = {"input_tokens": 24, "prompt_tokens": 24, "output_tokens": 8, "completion_tokens": 8, "total_tokens": 32}
    answer = completion(usage=usage)
    assert answer.model_dump() == {
        "content": "Fine.",
        "finish": Finish.STOP,
        "finish_reason": "stop",
        "model": "told",
        "usage": {
            "input_tokens": 24,
            "output_tokens": 8,
            "total_tokens": 32,
            "requests": 1,
            "estimated_cost": None,
            "cached_input_tokens": 0,
            "cache_written_tokens": 0,
            "reasoning_tokens": 0,
        },
        "request_id": "r-1",
    }


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"input_tokens": 3, "output_tokens": 4, "total_tokens": 9}, (3, 4, 9)),
        ({"prompt_tokens": 3, "completion_tokens": 4}, (3, 4, 7)),
        (None, (0, 0, 0)),
        ({"input_tokens": "3", "output_tokens": -4, "total_tokens": None}, (0, 0, 0)),
    ],
)
def test_usage_is_read_under_either_naming(usage: object, read: tuple[int, int, int]) -> None:
    expected = Usage(input_tokens=read[0], output_tokens=read[1], total_tokens=read[2], requests=1)
    assert completion(usage=usage).usage == expected


@pytest.mark.parametrize("inputs", ["input_tokens", "prompt_tokens"])
def test_what_was_cached_and_reasoned_is_read_beside_either_naming(inputs: str) -> None:
    told = {
        inputs: 5000,
        "prompt_tokens_details": {
            "cached_tokens": 4000,
            "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 7},
        },
        "completion_tokens_details": {"reasoning_tokens": 60},
    }
    usage = completion(usage=told).usage
    assert (usage.input_tokens, usage.cached_input_tokens, usage.cache_written_tokens) == (5000, 4000, 507)
    assert usage.reasoning_tokens == 60


@pytest.mark.parametrize("details", [None, 7, [], {"cached_tokens": "x", "cache_creation": [1]}])
def test_details_that_mean_nothing_are_none(details: object) -> None:
    usage = completion(usage={"prompt_tokens_details": details, "completion_tokens_details": details}).usage
    assert usage == Usage(requests=1)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", Finish.STOP), ("end_turn", Finish.STOP), ("stop_sequence", Finish.STOP), ("STOP", Finish.STOP),
     ("length", Finish.LENGTH), ("max_tokens", Finish.LENGTH), ("MAX_TOKENS", Finish.LENGTH),
     ("model_context_window_exceeded", Finish.LENGTH), ("content_filter", Finish.FILTERED),
     ("SAFETY", Finish.FILTERED), ("refusal", Finish.FILTERED), ("RECITATION", Finish.FILTERED),
     ("tool_calls", Finish.OTHER), ("tool_use", Finish.OTHER), (None, Finish.OTHER), (7, Finish.OTHER)],
)  # fmt: skip
def test_every_providers_reason_is_understood(reason: object, finish: Finish) -> None:
    choice = {"message": {"content": "x"}, "finish_reason": reason}
    assert completion(choices=[choice]).finish is finish


@pytest.mark.parametrize(
    ("choices", "content", "reason"),
    [
        ([], None, None),
        ([{"message": {"content": None}, "finish_reason": "stop"}], None, "stop"),
        ([{"message": None}], None, None),
        ([7], None, None),
        ([{"message": {"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"text": "b"}]}}], "ab", None),
        ([{"message": {"content": [{"type": "image"}]}}], None, None),
        ([{"message": {"content": None}, "finish_reason": "tool_use"}, {"message": {"content": "x"}}], "x", "tool_use"),
        ([{"message": {"content": "x"}, "finish_reason": "length"},
          {"message": {"content": "y"}, "finish_reason": "stop"}], "x", "length"),
    ],
)  # fmt: skip
def test_content_is_found_wherever_it_stands(choices: object, content: str | None, reason: str | None) -> None:
    answer = completion(choices=choices)
    assert (answer.content, answer.finish_reason) == (content, reason)


@pytest.mark.parametrize(
    ("changes", "model"),
    [
        ({}, "told"),
        ({"model": None}, "asked"),
        ({"model": None, "request": None}, "requested"),
        ({"model": ""}, "asked"),
    ],
)
def test_the_model_is_the_one_that_is_told_if_any(changes: dict[str, object], model: str) -> None:
    assert completion(**changes).model == model


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["choices", "usage", "model", "request", "request_id"]), JSON))
def test_no_completion_is_read_with_a_foreign_error(changes: dict[str, object]) -> None:
    try:
        completion(**changes)
    except Garbled:
        return
