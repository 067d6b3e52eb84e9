"""Structured answers: what counts as one, and what is said of what is none."""

from typing import Any

import pytest

from service.domain.asking.structured import LARGEST, Fits, Wrong, read, schema_of, usable

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["mood"],
    "properties": {
        "mood": {"enum": ["good", "bad"]},
        "score": {"type": "integer", "minimum": 1},
        "topics": {"type": "array", "items": {"type": "string"}},
    },
}
GOOD = '{"mood": "good"}'


@pytest.mark.parametrize(
    "content",
    [GOOD, f"  {GOOD}\n", f"```json\n{GOOD}\n```", f"```\n{GOOD}```", f"\n```JSON\n  {GOOD}\n\n```\n"],
)
def test_json_is_taken_out_of_its_fence_and_blanks(content: str) -> None:
    assert read(content, SCHEMA) == Fits(text=GOOD, value={"mood": "good"})


@pytest.mark.parametrize(
    ("content", "told", "what"),
    [
        ("The mood is good.", "not JSON", "not JSON"),
        ("", "not JSON", "not JSON"),
        (f"```json\n{GOOD[:-1]},", "not JSON", "not JSON"),
        (f"Here it is: {GOOD}", "not JSON", "not JSON"),
        ('{"mood": NaN}', "not JSON", "not JSON"),
        ("{}", "'mood' is a required property", "#/required is not met"),
        ('{"mood": "grim"}', "'grim' is not one of ['good', 'bad'] (at mood)", "#/properties/mood/enum is not met"),
        ('{"mood": "good", "score": "3"}', "(at score)", "#/properties/score/type is not met"),
        ('{"mood": "good", "score": 0}', "less than the minimum", "#/properties/score/minimum is not met"),
        ('{"mood": "good", "more": 1}', "'more' was unexpected", "#/additionalProperties is not met"),
        ('{"mood": "good", "topics": ["a", 1]}', "(at topics[1])", "#/properties/topics/items/type is not met"),
        ("[]", "(at the top)", "#/type is not met"),
        ("[" * 100_000, "not JSON", "not JSON"),
        ("[" * 70 + "]" * 70, "nested deeper than 64", "nested deeper than 64"),
        ('{"mood": "good", "score": 1e999}', "", ""),
        (f'{{"mood": "{"x" * LARGEST}"}}', "too long", "longer than 1024 KiB"),
    ],
)
def test_what_does_not_fit_is_told_to_the_model_in_full_and_to_people_without_its_words(
    content: str, told: str, what: str
) -> None:
    found = read(content, SCHEMA)
    assert isinstance(found, Wrong)
    assert told in found.told
    assert what in found.what
    assert "grim" not in found.what
    assert len(found.told) < 1000


@pytest.mark.parametrize("leads", ["https://schemas.invalid/x.json", "#/$defs/none", "file:///etc/hostname", "#"])
def test_a_reference_is_followed_within_the_schema_and_nowhere_else(leads: str) -> None:
    found = read(GOOD, {"$ref": leads})
    assert isinstance(found, Wrong)
    assert "leads nowhere" in found.what


def test_a_reference_within_the_schema_holds() -> None:
    schema: dict[str, Any] = {"$defs": {"m": SCHEMA}, "$ref": "#/$defs/m"}
    assert isinstance(read(GOOD, schema), Fits)
    assert isinstance(read("{}", schema), Wrong)


def test_only_a_json_schema_is_held_against_an_answer() -> None:
    assert usable(SCHEMA)
    assert not usable({"type": "whole"})
    assert not usable({"pattern": "("})
    assert schema_of({"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}) == SCHEMA
    assert schema_of({"response_format": {"type": "json_object"}}) is None
    assert schema_of({}) is None
