"""Extracts and instances: what the stand-in says when it is asked."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.simulator.answers import NOTHING, divide, extract, pick
from service.simulator.instances import instance_of

SAID = "[stand-in extract] We will send a new kettle on Thursday, I promise."


def user(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_speaker_labelled_text_is_told_from_the_instruction() -> None:
    call = "Speaker A: Hello there.\nSpeaker B: We will send it.\n"
    assert divide([user(f"List the action items.\nContext: a call\n\n{call}")], None) == (
        "Hello there.\nWe will send it.",
        "List the action items.\nContext: a call\n",
    )


def test_the_transcript_is_told_from_the_instruction_around_it() -> None:
    source, instruction = divide([user("Before\n\nHello there.\n\nAfter")], "Hello there.")
    assert source == "Hello there."
    assert instruction.split() == ["Before", "After"]


def test_nothing_to_extract_from_is_said_plainly() -> None:
    assert extract([user("Summarize.")], None) == NOTHING
    assert extract([user("   ")], None) == NOTHING


def test_a_prompt_without_known_words_still_gets_its_own_place() -> None:
    sentences = [f"Sentence number {number}." for number in range(40)]
    assert len({tuple(pick(sentences, f"zzz{number}")) for number in range(8)}) > 3


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string", "maxLength": 5}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 200}}},
        {"type": "object", "required": ["free"], "additionalProperties": True},
        {"properties": {"mood": {"enum": ["calm", "cross", "kettle"]}, "fixed": {"const": 3}}},
        {"type": "array", "items": {"type": "integer", "minimum": 3, "maximum": 9}, "minItems": 3},
        {"type": "array", "items": {"type": "string", "maxLength": 40}, "minItems": 3, "uniqueItems": True},
        {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 2, "uniqueItems": True},
        {"type": "array", "items": {"type": "integer"}, "minItems": 2, "uniqueItems": True},
        {
            "type": "array",
            "prefixItems": [{"type": "string"}, {"type": "boolean"}],
            "minItems": 2,
            "items": {"type": "null"},
        },
        {"type": "array", "items": {"type": "string"}, "maxItems": 0},
        {"type": ["string", "null"]},
        {"type": "null"},
        {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        {"oneOf": [{"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}, {"type": "null"}]},
        {
            "allOf": [
                {"$ref": "#/$defs/named"},
                {"properties": {"age": {"type": "integer"}}, "required": ["age"]},
            ],
            "$defs": {"named": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
        },
        {
            "$ref": "#/$defs/tree",
            "$defs": {
                "tree": {
                    "type": "object",
                    "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
                    "required": ["children"],
                    "additionalProperties": False,
                }
            },
        },
        {"type": "string", "format": "date"},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.1},
        {"type": "integer", "exclusiveMinimum": 4, "multipleOf": 5},
        {"type": "integer", "exclusiveMinimum": 5, "multipleOf": 5},
        {"type": "integer", "exclusiveMaximum": 5},
        {"type": "number", "minimum": 3},
        {"type": "number", "multipleOf": 0.25},
        {"type": "number", "maximum": -3},
        {"type": "boolean"},
    ],
)
def test_an_instance_validates(schema: dict[str, Any]) -> None:
    made = instance_of(schema, SAID)
    jsonschema.Draft202012Validator(schema).validate(made)
    assert made == instance_of(schema, SAID)


def test_an_option_that_was_said_is_chosen() -> None:
    assert instance_of({"enum": ["toaster", "kettle"]}, SAID) == "kettle"


SIMPLE = st.one_of(
    st.just({"type": "string"}),
    st.just({"type": "boolean"}),
    st.builds(
        lambda low, width: {"type": "integer", "minimum": low, "maximum": low + width},
        st.integers(-50, 50),
        st.integers(0, 50),
    ),
    st.builds(lambda options: {"enum": options}, st.lists(st.text(max_size=8), min_size=1, max_size=4)),
)
SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.builds(lambda items, least: {"type": "array", "items": items, "minItems": least}, inner, st.integers(0, 3)),
        st.builds(
            lambda properties: {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            },
            st.dictionaries(st.text(max_size=6), inner, max_size=4),
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(SCHEMAS)
def test_instances_of_schemas_as_people_write_them_validate(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema).validate(instance_of(schema, SAID))
