"""A prompt's schema: what becomes of it in the request, what may point into the answer, and what is only doubtful."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from service.domain.errors import Refused
from service.domain.pipeline import Prompt, from_json, to_json
from service.domain.pipelines.file import Loaded
from tests.unit.broken_prompts import ASKS, TRIAGE
from tests.unit.pipelines_samples import HEAD, PROMPT, loaded, refused

LEVELS = {
    "type": "object",
    "properties": {
        "mood": {"type": ["string", "null"]},
        "caller": {"$ref": "#/$defs/person"},
        "others": {"type": "array", "items": {"$ref": "#/$defs/person"}},
        "agent": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"id": {"type": "integer"}}}]},
    },
    "$defs": {"person": {"type": "object", "properties": {"name": {"type": "string"}}}},
}

TABLE = "{ type = 'object', properties = { a = { type = 'string' } } }"
WRITTEN = f"{{ type = 'json_schema', json_schema = {{ name = 'x', schema = {TABLE} }} }}"


def with_schema(folder: Path, schema: object, more: str = "") -> Loaded:
    (folder / "a.json").write_text(json.dumps(schema), encoding="utf-8")
    return loaded(folder, f"{HEAD}{PROMPT}schema = 'a.json'\n{more}")


def form(found: Loaded) -> dict[str, Any]:
    [prompt] = found.pipelines.pipelines[0].prompts
    asked: Any = prompt.request["response_format"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["name"] == prompt.name == "summary"
    inner: dict[str, Any] = asked["json_schema"]
    return inner


def test_a_schema_becomes_the_form_that_the_gateway_is_asked_for(tmp_path: Path) -> None:
    mood = {"type": "string", "enum": ["good", "bad"], "description": "At the end"}
    schema = {"type": "object", "required": ["mood"], "properties": {"mood": mood}}
    found = with_schema(tmp_path, schema)
    assert form(found) == {"name": "summary", "schema": {**schema, "additionalProperties": False}, "strict": True}
    assert found.warnings == ()


def test_a_schema_in_the_file_itself_is_the_same_as_one_beside_it(tmp_path: Path) -> None:
    table = "schema = { type = 'object', required = ['mood'], properties = { mood = { enum = ['good', 'bad'] } } }"
    beside = {"type": "object", "required": ["mood"], "properties": {"mood": {"enum": ["good", "bad"]}}}
    inline = loaded(tmp_path, f"{HEAD}{PROMPT}{table}")
    assert inline.pipelines == with_schema(tmp_path, beside).pipelines
    header = "[pipelines.prompts.schema]\ntype = 'object'\nrequired = ['mood']\n[pipelines.prompts.schema.properties]\n"
    assert loaded(tmp_path, f"{HEAD}{PROMPT}{header}mood.enum = ['good', 'bad']").pipelines == inline.pipelines


def test_no_object_of_a_schema_takes_other_properties(tmp_path: Path) -> None:
    sent = form(with_schema(tmp_path, LEVELS))["schema"]
    objects = (sent, sent["$defs"]["person"], sent["properties"]["agent"]["anyOf"][1])
    assert [each["additionalProperties"] for each in objects] == [False] * 3
    assert json.dumps(sent).count("additionalProperties") == 3
    validator = Draft202012Validator(sent)
    assert validator.is_valid({"caller": {"name": "x"}, "agent": None})
    assert not validator.is_valid({"caller": {"name": "x", "age": 3}})


@pytest.mark.parametrize(
    ("listed", "kind"),
    [({"enum": ["a", "b"]}, "string"), ({"enum": [1, None]}, ["null", "number"]), ({"const": True}, "boolean")],
)
def test_the_type_of_listed_values_is_told(tmp_path: Path, listed: dict[str, object], kind: object) -> None:
    found = with_schema(tmp_path, {"type": "object", "properties": {"a": listed}})
    assert form(found)["schema"]["properties"]["a"] == {**listed, "type": kind}


@pytest.mark.parametrize(
    ("required", "inner", "strict"), [(["a"], ["b"], True), (["a"], None, False), (None, ["b"], False)]
)
def test_strict_is_asked_for_where_every_property_is_required(
    tmp_path: Path, required: list[str] | None, inner: list[str] | None, strict: bool
) -> None:
    nested = {"type": "object", "properties": {"b": {"type": "string"}}} | ({"required": inner} if inner else {})
    schema = {"type": "object", "properties": {"a": nested}} | ({"required": required} if required else {})
    assert form(with_schema(tmp_path, schema))["strict"] is strict


def test_what_a_schema_says_of_itself_stays_here(tmp_path: Path) -> None:
    sent = form(with_schema(tmp_path, TRIAGE))["schema"]
    assert not {"$schema", "$id"} & sent.keys()
    assert sent["properties"]["customer"] == {"$ref": "#/$defs/customer"}


def test_a_schema_may_refer_to_itself_where_an_answer_can_end(tmp_path: Path) -> None:
    tree = {
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/node"}},
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "parts": {"type": "array", "items": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]}},
                },
            }
        },
    }
    assert with_schema(tmp_path, tree, "[pipelines.attributes]\na = 'answers.summary.root.name'").warnings == ()


def test_a_form_that_is_written_out_is_sent_as_it_is(tmp_path: Path) -> None:
    attributes = "[pipelines.attributes]\na = 'answers.summary.a'"
    own = loaded(tmp_path, f"{HEAD}{PROMPT}response_format = {WRITTEN}\n{attributes}")
    inherited = loaded(tmp_path, f"{HEAD.replace('[[', f'response_format = {WRITTEN}{chr(10)}[[')}{PROMPT}{attributes}")
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    for found in (own, inherited):
        [prompt] = found.pipelines.pipelines[0].prompts
        assert prompt.request["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": schema},
        }
    pointing = attributes.replace("summary.a", "summary.b")
    [problem] = refused(tmp_path, f"{HEAD}{PROMPT}response_format = {WRITTEN}\n{pointing}")
    assert problem.what == "the schema of `answers.summary` has no property `b`"


def test_a_prompt_with_a_schema_does_not_inherit_another_form(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(LEVELS))
    text = f"{HEAD.replace('[[', f'response_format = {WRITTEN}{chr(10)}[[')}{PROMPT}schema = 'a.json'"
    assert form(loaded(tmp_path, text))["schema"].keys() >= {"$defs"}


def test_a_pipeline_with_a_schema_is_pinned_and_read_back_equal(tmp_path: Path) -> None:
    [pipeline] = with_schema(tmp_path, TRIAGE).pipelines.pipelines
    assert from_json(to_json(pipeline)) == pipeline
    assert isinstance(pipeline.prompt("summary"), Prompt)


@pytest.mark.parametrize("part", ["sentiment", "customer.tier", "customer.years", "topics", "agent.tier"])
def test_an_attribute_may_point_at(tmp_path: Path, part: str) -> None:
    found = with_schema(tmp_path, TRIAGE, f"[pipelines.attributes]\na = 'answers.summary.{part}'")
    assert found.pipelines.pipelines[0].attributes == {"a": f"answers.summary.{part}"}


def test_what_some_models_may_not_take_is_a_warning(tmp_path: Path) -> None:
    bounded = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 5, "minimum": 1, "maximun": 3}}}
    misspelt, refusing = with_schema(tmp_path, bounded, "fallbacks = ['claude-sonnet-4-6']").warnings
    assert misspelt.place == refusing.place == "pipelines.toml:9 pipelines[calls].prompts[summary].schema"
    assert misspelt.what == "JSON Schema has no keyword `maximun` (in a.json, `#/properties/n/maximun`)"
    assert misspelt.cure == "did you mean `maximum`?"
    assert "`claude-sonnet-4-6` may refuse `maximum`" in refusing.what
    assert "#/properties/n/maximum" in refusing.what
    assert len(with_schema(tmp_path, bounded).warnings) == 1
    odd = {"type": "object", "properties": {"n": {"type": "string", "x-shown": True}}}
    [unknown] = with_schema(tmp_path, odd).warnings
    assert unknown.cure == "it is sent as it is; take it out if that was not meant"


VALUES = st.recursive(
    st.sampled_from([None, True, 3, "", "object", "string", "#", "#/$defs/customer", "#/properties/agent", "tier"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(["type", "properties", "required", "items", "anyOf", "$ref", "$defs", "enum", "tier"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_schema_is_refused_or_answers_can_be_held_against_it(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    schema = copy.deepcopy(TRIAGE)
    for _ in range(data.draw(st.integers(1, 3))):
        at: Any = schema
        while keys := list(at) if isinstance(at, dict) else list(range(len(at))):
            key = data.draw(st.sampled_from(keys))
            if isinstance(at[key], (dict, list)) and data.draw(st.integers(0, 3)):
                at = at[key]
                continue
            at[key] = data.draw(VALUES)
            break
    try:
        found = with_schema(tmp_path_factory.mktemp("any"), schema)
    except Refused:
        return
    Draft202012Validator.check_schema(form(found)["schema"])
    validator = Draft202012Validator(form(found)["schema"])
    for answer in ({}, {"customer": {"tier": None}, "agent": {"tier": {}}, "topics": [[{}]], "moments": [{}]}):
        validator.is_valid(answer)


def test_a_doubt_about_what_prompts_inherit_is_told_once(tmp_path: Path) -> None:
    doubtful = WRITTEN.replace("'string'", "'string', maxLenght = 3")
    text = f"{HEAD.replace('[[', f'response_format = {doubtful}{chr(10)}[[')}{PROMPT}{PROMPT.replace('summary', 'b')}"
    [warning] = loaded(tmp_path, text).warnings
    assert warning.place.startswith("pipelines.toml:3 defaults.response_format.json_schema.schema.properties.a")
    assert warning.cure == "did you mean `maxLength`?"


def test_all_flaws_of_a_schema_are_told_at_once_but_not_without_end(tmp_path: Path) -> None:
    flawed = {"type": "object", "properties": {f"p{n}": {} for n in range(40)}}
    (tmp_path / "a.json").write_text(json.dumps(flawed))
    problems = refused(tmp_path, f"{HEAD}[[pipelines.prompts]]\nname = 'summary'\n{ASKS}schema = 'a.json'")
    assert [f"#/properties/p{n}`" in each.what for n, each in enumerate(problems)] == [True] * 5
