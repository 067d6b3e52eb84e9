"""A pipeline's own attributes, evaluated over an event's data."""

from typing import Any

import pytest

from service.domain.attributes import answer_of, evaluate, parts_of, wrong_name, wrong_pointer

DATA: dict[str, Any] = {
    "recording": {"key": "calls/a.mp3", "metadata": {"Agent": "7", "none": ""}},
    "transcript": {"id": "tr-1", "language": "en"},
    "answers": {
        "mood": {"content": "positive"},
        "failed": {"error": {"code": "prompt_failed"}},
        "triage": {
            "value": {
                "mood": "tense",
                "customer": {"tier": "gold", "years": 3, "new": False, "note": None},
                "topics": ["refund", "", "delay"],
                "none": [],
            }
        },
    },
}


def test_each_pointer_finds_its_value() -> None:
    pointers = {
        "mood": "answers.mood",
        "agent": "source.metadata.agent",
        "key": "source.key",
        "language": "transcript.language",
    }
    assert evaluate(pointers, DATA) == {"mood": "positive", "agent": "7", "key": "calls/a.mp3", "language": "en"}


@pytest.mark.parametrize(
    ("pointer", "told"),
    [
        ("answers.triage.mood", "tense"),
        ("answers.triage.customer.tier", "gold"),
        ("answers.triage.customer.years", 3),
        ("answers.triage.customer.new", False),
        ("answers.triage.topics", ("refund", "delay")),
        ("answers.triage.customer.note", None),
        ("answers.triage.none", None),
        ("answers.triage.customer", None),
        ("answers.triage.customer.tier.more", None),
        ("answers.triage.topics.0", None),
        ("answers.triage", None),
        ("answers.mood.tone", None),
        ("answers.failed.mood", None),
        ("answers.other.mood", None),
    ],
)
def test_a_pointer_leads_into_a_structured_answer(pointer: str, told: object) -> None:
    found = evaluate({"a": pointer}, DATA)
    assert found == ({} if told is None else {"a": told})
    assert type(found.get("a")) is type(told)


@pytest.mark.parametrize(
    "pointer", ["answers.failed", "answers.other", "source.metadata.none", "source.metadata.other"]
)
def test_what_is_missing_null_or_empty_is_left_out(pointer: str) -> None:
    assert evaluate({"a": pointer}, DATA) == {}


@pytest.mark.parametrize("data", [{}, {"transcript": None, "answers": None, "recording": None}])
def test_a_failed_recording_has_no_attributes_to_tell(data: dict[str, Any]) -> None:
    pointers = {"a": "answers.mood", "b": "transcript.language", "c": "source.key", "d": "source.metadata.x"}
    assert evaluate(pointers, data) == {}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (True, True),
        (0, 0),
        (1_000_000_000, 1_000_000_000),
        (1_000_000_001, "1000000001"),
        (-2e9, "-2000000000.0"),
        (0.5, 0.5),
        (["a", None, "", 1, {"x": 1}], ("a", 1)),
        ([2**40], ("1099511627776",)),
        ([], None),
        ({"x": 1}, None),
        (None, None),
    ],
)
def test_values_take_the_form_that_subscribers_can_filter(value: object, told: object) -> None:
    found = evaluate({"a": "answers.x.y"}, {"answers": {"x": {"value": {"y": value}}}})
    assert found.get("a") == told
    assert type(found.get("a")) is type(told)


@pytest.mark.parametrize("name", ["mood", "Mood-2", "Type", "a.b", "_x", "aws", "awsome.x", "a" * 256])
def test_a_name_that_topics_accept(name: str) -> None:
    assert wrong_name(name) is None


@pytest.mark.parametrize("name", ["type", "", "a" * 257, ".a", "a.", "a..b", "AWS.x", "amazon.x", "ä", "a b"])
def test_a_name_that_topics_refuse(name: str) -> None:
    assert wrong_name(name) is not None


def test_only_answers_need_a_prompt() -> None:
    assert answer_of("answers.mood") == answer_of("answers.mood.tone") == "mood"
    assert [parts_of(each) for each in ("answers.mood", "answers.mood.a b.c", "source.key")] == [[], ["a b", "c"], ()]
    assert answer_of("source.key") is None
    assert wrong_pointer("source.metadata.any thing") is None
