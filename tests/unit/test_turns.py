"""Conversations and their sizes: what goes out at each turn, how long it is, and what is marked in it."""

from typing import Any

import pytest

from service.domain.asking.caching import MARK, marked
from service.domain.asking.prompts import TAG, speech_at
from service.domain.asking.sizes import check_room, tokens
from service.domain.asking.turns import answered, corrected, parts, turn, unrepaired
from service.domain.errors import NoRoom
from service.domain.pipeline import Message, Prompt

SYSTEM, USER = {"role": "system", "content": "Be kind."}, {"role": "user", "content": f"Read: {TAG}"}
ASK: dict[str, Any] = {"role": "assistant"}
MORE = {"role": "user", "content": "And?"}
REQUEST: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "transcript_id": "t",
    "response_format": {"type": "json_schema"},
    "post_processing_steps": [{"type": "json-repair"}],
    "fallbacks": [{"model": "b", "response_format": {}, "max_tokens": 1}],
}


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([USER], [(USER,)]),
        ([SYSTEM, USER, ASK], [(SYSTEM, USER)]),
        ([SYSTEM, USER, ASK, MORE], [(SYSTEM, USER), (MORE,)]),
        ([USER, ASK, MORE, ASK, MORE, ASK], [(USER,), (MORE,), (MORE,)]),
    ],
)
def test_the_model_is_asked_at_each_turn_and_at_the_end(messages: list[Any], found: list[Any]) -> None:
    assert list(parts(messages)) == found


def test_only_the_last_turn_is_given_a_form_and_only_with_the_tag_the_transcript() -> None:
    first = turn(REQUEST, [MORE], last=False)
    assert first == {
        "model": "claude-sonnet-4-6",
        "fallbacks": [{"model": "b", "max_tokens": 1}],
        "messages": [MORE],
    }
    last = turn(REQUEST, [MORE, answered(f"A {TAG}"), USER], last=True)
    assert last == {**REQUEST, "messages": [MORE, {"role": "assistant", "content": "A {{transcript}}"}, USER]}


def test_a_correction_shows_the_answer_and_what_is_wrong_and_asks_for_repair_once() -> None:
    again = corrected({**REQUEST, "messages": [USER]}, f"{{ {TAG}", "it is not JSON")
    assert again["post_processing_steps"] == [{"type": "json-repair"}]
    asked: Any = again["messages"]
    assert asked[:2] == [USER, {"role": "assistant", "content": "{ {{transcript}}"}]
    assert "it is not JSON" in asked[2]["content"]
    plain = unrepaired(again)
    assert plain is not None
    assert "post_processing_steps" not in plain
    assert unrepaired(plain) is None


def test_the_estimate_counts_bytes_the_transcript_in_place_of_its_tag() -> None:
    assert tokens([{"role": "user", "content": "äöüß"}], None) == 2
    assert tokens([USER], 1000) == (6 + 1000 + 3) // 4
    assert tokens([USER], None) is None


def test_there_is_room_for_question_and_answer_or_it_is_told_with_all_sizes() -> None:
    request = {"model": "m", "messages": [USER], "max_tokens": 50}
    check_room(request, 1000, 302)
    check_room(request, 1000, None)
    check_room(request, None, 1)
    with pytest.raises(NoRoom, match=r"m has a context of 301 tokens, .* about 252 and its answer up to 50"):
        check_room(request, 1000, 301)


@pytest.mark.parametrize(
    ("changes", "text_bytes", "marks"),
    [
        ({}, 10_000, True),
        ({}, 8_000, False),
        ({}, None, False),
        ({"model": "claude-opus-4-7"}, 10_000, False),
        ({"model": "claude-opus-4-7"}, 17_000, True),
        ({"model": "claude-sonnet-4-5-20250929"}, 5_000, True),
        ({"model": "gpt-5"}, 100_000, False),
        ({"cache_control": {"type": "ephemeral", "ttl": "5m"}}, 100_000, False),
    ],
)
def test_a_mark_stands_where_it_helps(changes: dict[str, Any], text_bytes: int | None, marks: bool) -> None:
    request = {"model": "claude-sonnet-4-6", "messages": [SYSTEM, USER, MORE], **changes}
    found: Any = marked(request, 1, text_bytes)
    assert found["messages"] == [SYSTEM, {**USER, "cache_control": dict(MARK)} if marks else USER, MORE]
    assert {"role": "user", "content": f"Read: {TAG}"} == USER


def test_the_transcript_is_found_however_it_is_put_in() -> None:
    def prompt(*contents: str | None) -> Prompt:
        messages = tuple(Message(role="assistant" if each is None else "user", content=each) for each in contents)
        return Prompt(name="p", messages=messages, request={"model": "m"})

    assert speech_at(prompt("a", None, "{{ utterances }}")) == 2
    assert speech_at(prompt("{{ transcript }}", None, "b")) == 0
    assert speech_at(prompt("{{ answers.a }}")) is None
