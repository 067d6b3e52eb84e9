"""The JSON Schema of the pipelines file, and that nothing written in it makes the loader stumble."""

import copy
import json
import re
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from service.domain.errors import Problem, Refused
from service.domain.pipelines.file import load
from service.domain.pipelines.raw import json_schema
from service.templates import starter
from tests.unit.pipelines_samples import written


def test_the_json_schema_takes_the_file_to_start_from_and_refuses_what_load_refuses() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    document = tomllib.loads(starter.pipelines())
    assert validator.is_valid(document)
    refused_too: list[dict[str, Any]] = [
        {**document, "modle": 1},
        {"defaults": {}},
        {"pipelines": [{"name": "a"}]},
        {"pipelines": [{"name": "a", "match": [], "attributes": {f"a{n}": "source.key" for n in range(8)}}]},
        {"pipelines": [{"name": "a", "match": [], "prompts": [{"name": "a", "max_tokens": 0}]}]},
        {"pipelines": [{"name": "a", "match": [], "prompts": [{"name": "a", "fallbacks": [{"top_p": 1}]}]}]},
    ]
    for broken in refused_too:
        assert not validator.is_valid(broken), broken


VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-3, 2**70),
        st.sampled_from([0.5, 1e300]),
        st.text("{}ab. %|[*", max_size=8),
        st.sampled_from(["{{ transcript }}", "{{ answers.summary }}", "{{ utterances }}", "user", "answers.summary"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["name", "model", "role", "content", "prompt", "match", "x"]), inner, max_size=3
        ),
    ),
    max_leaves=5,
)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_no_file_does_worse_than_being_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    document = copy.deepcopy(tomllib.loads(starter.pipelines()))
    for _ in range(data.draw(st.integers(1, 4))):
        at: Any = document
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(at[key], (dict, list)) and data.draw(st.integers(0, 3)):
                at = at[key]
                continue
            at[key] = data.draw(VALUES)
            break
    text = "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in document.items())
    path = written(tmp_path_factory.mktemp("any"), text)
    problems: tuple[Problem, ...] = ()
    try:
        load(path)
    except Refused as error:
        problems = error.problems
    assert all(re.match(r"pipelines.toml:\d+", problem.place) and problem.cure for problem in problems)
