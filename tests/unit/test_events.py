"""The event of a run: a CloudEvent made of the stored result."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.domain.asking.answers import Answer
from service.domain.events import EVENT_AT_MOST, Attribute, Event, event
from service.domain.identity import event_id
from service.domain.job import Failure, Outcome
from service.domain.results import stored_result
from tests.unit.event_samples import SUMMARY, TRUNCATED, event_of, job, result_of, samples, verdict

ENDED = job(verdict(Outcome.COMPLETE))
ANSWERS: dict[str, Answer | Failure] = {"summary": SUMMARY, "coaching": TRUNCATED}

# What the specification's JSON format asks of every structured event (CloudEvents 1.0.2).
CLOUD_EVENT = {
    "type": "object",
    "required": ["id", "source", "specversion", "type"],
    "propertyNames": {"pattern": "^[a-z0-9]+$"},
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "pattern": r"^[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+$"},
        "specversion": {"const": "1.0"},
        "type": {"type": "string", "minLength": 1},
        "datacontenttype": {"type": "string", "minLength": 1},
        "dataschema": {"type": "string", "pattern": "^[a-z][a-z0-9+.-]*:.+$"},
        "subject": {"type": "string", "minLength": 1},
        "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
    },
    "not": {"required": ["data", "data_base64"]},
}


def body(made: Event) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(made.body)
    return document


def with_text(length: int) -> Event:
    return event_of(ENDED, {"summary": SUMMARY.model_copy(update={"content": "x" * length})})


@pytest.mark.parametrize("name", samples())
def test_every_event_is_a_cloud_event(name: str) -> None:
    Draft202012Validator(CLOUD_EVENT).validate(body(samples()[name]))


def test_an_event_is_addressed_as_documented() -> None:
    told = body(event_of(ENDED, ANSWERS))
    assert told.pop("data")["job_id"] == ENDED.id
    assert told == {
        "specversion": "1.0",
        "id": event_id("afterword", ENDED.id, 1),
        "type": "afterword.recording.analyzed.v1",
        "source": "/afterword/support-calls",
        "subject": ENDED.recording.uri,
        "time": "2026-03-02T09:16:13.000Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:afterword:schema:recording:v1",
    }
    assert datetime.fromisoformat(told["time"]).tzinfo == UTC


def test_a_partial_outcome_is_analyzed_and_only_a_failed_one_failed() -> None:
    types = {name: sample.attributes["type"] for name, sample in samples().items()}
    assert types.pop("failed") == "afterword.recording.failed.v1"
    assert set(types.values()) == {"afterword.recording.analyzed.v1"}


def test_the_data_is_the_result_without_usage_timings_and_request_ids() -> None:
    result = json.loads(result_of(ENDED, ANSWERS))
    data = body(event_of(ENDED, ANSWERS))["data"]
    assert result.keys() - data.keys() == {"deployment", "usage", "timings", "request_ids"}
    assert data.items() <= result.items()
    assert data["answers"] == result["answers"]


def test_the_same_result_gives_the_same_event_to_the_byte() -> None:
    stored = result_of(ENDED, ANSWERS)
    assert event(stored_result(stored, "a"), {"x": 1}) == event(stored_result(stored, "b"), {"x": 1})


def test_an_event_is_one_line_of_unescaped_utf_8() -> None:
    made = event_of(ENDED, {"summary": SUMMARY.model_copy(update={"content": "Grüße\r\n🎙"})})
    assert b"\n" not in made.body
    assert b"\r" not in made.body
    assert "Grüße\\r\\n🎙".encode() in made.body


def test_each_run_has_its_own_event_in_the_same_group() -> None:
    first, second = event_of(ENDED, ANSWERS), event_of(job(verdict(Outcome.COMPLETE), run=2), ANSWERS)
    assert first.id != second.id
    assert first.group == second.group
    assert re.fullmatch("[0-9a-f]{64}", first.group)


def test_the_attributes_are_ours_then_the_pipelines_own() -> None:
    own: dict[str, Attribute] = {"sentiment": "good", "type": "forged", "tags": ("a", "b")}
    made = event(stored_result(result_of(ENDED, ANSWERS), "r"), own)
    assert list(made.attributes.items()) == [
        ("type", "afterword.recording.analyzed.v1"),
        ("pipeline", "support-calls"),
        ("outcome", "complete"),
        ("sentiment", "good"),
        ("tags", ("a", "b")),
    ]


def test_over_240_kib_the_answers_are_left_out_and_the_rest_is_told() -> None:
    small, large = with_text(1000), with_text(250 * 1024)
    told = body(large)["data"]
    assert "answers" not in told
    assert told.pop("answers_omitted") is True
    assert told == {name: value for name, value in body(small)["data"].items() if name != "answers"}
    assert large.id == small.id


def test_the_attributes_count_towards_the_240_kib() -> None:
    room = EVENT_AT_MOST - len(with_text(0).body)
    weight = sum(len(name) + len("String.Array") + len(f'"{value}"') for name, value in with_text(0).attributes.items())
    fits, over = with_text(room - weight), with_text(room - weight + 1)
    assert len(fits.body) + weight == EVENT_AT_MOST
    assert "answers" in body(fits)["data"]
    assert body(over)["data"]["answers_omitted"] is True
    filled = SUMMARY.model_copy(update={"content": "x" * (room - weight)})
    stored = stored_result(result_of(ENDED, {"summary": filled}), "r")
    assert body(event(stored, {"tag": "t"}))["data"]["answers_omitted"] is True


def test_an_attribute_that_is_too_long_for_any_topic_is_left_out_and_the_others_are_told() -> None:
    own: dict[str, Attribute] = {"a": "x" * 90_000, "long": "x" * 150_000, "b": "x" * 90_000, "mood": "good"}
    stored = stored_result(result_of(ENDED, ANSWERS), "r")
    made = event(stored, own)
    assert list(made.attributes) == ["type", "pipeline", "outcome", "a", "b", "mood"]
    assert body(made)["data"]["answers_omitted"] is True
    assert len(made.body) + sum(len(str(value)) for value in made.attributes.values()) < EVENT_AT_MOST
    assert event(stored, dict(reversed(own.items()))).attributes == made.attributes, "whatever the order"


def test_attributes_give_way_after_the_answers_only() -> None:
    own: dict[str, Attribute] = {"long": "x" * 200_000}
    made = event(
        stored_result(result_of(ENDED, {"summary": SUMMARY.model_copy(update={"content": "x" * 60_000})}), "r"), own
    )
    assert body(made)["data"]["answers_omitted"] is True
    assert made.attributes["long"] == own["long"]


@pytest.mark.parametrize("text", ["\ufffe", "\uffff", 'a\\\uffff"\ufffe\ufffd'])
def test_what_queues_take_in_no_message_is_escaped(text: str) -> None:
    made = event_of(ENDED, {"summary": SUMMARY.model_copy(update={"content": text})})
    assert body(made)["data"]["answers"]["summary"]["content"] == text
    assert not {"\ufffe", "\uffff"} & set(made.body.decode())
