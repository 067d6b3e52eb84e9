"""The published JSON Schema, and the samples in the documentation."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.cli.app import run
from service.domain.errors import Code
from service.domain.schemas import event_schema
from tests.unit.event_samples import DOCS, SCHEMAS, pretty, samples

VALIDATOR = Draft202012Validator(event_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


def sample(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(samples()[name].body)
    return document


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_in_the_documentation_is_the_one_that_holds(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert (DOCS / "schemas" / name).read_text(encoding="utf-8") == pretty(SCHEMAS[name])


@pytest.mark.parametrize(("of", "name"), [("event", "event.v1.json"), ("pipelines", "pipelines.json")])
def test_the_command_prints_the_schema_of_the_documentation(
    of: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["schema", of]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((DOCS / "schemas" / name).read_text(encoding="utf-8"))


def test_the_schema_of_an_event_refers_to_nothing_so_that_every_tool_can_read_it() -> None:
    assert "$ref" not in json.dumps(event_schema())


@pytest.mark.parametrize("name", samples())
def test_the_documented_sample_of_each_outcome_is_true_and_valid(name: str) -> None:
    shown = (DOCS / "events" / f"{name}.json").read_text(encoding="utf-8")
    assert shown == pretty(sample(name))
    VALIDATOR.validate(json.loads(shown))


def test_every_code_of_a_failure_is_listed() -> None:
    text = json.dumps(event_schema())
    assert all(f"`{code.value}`" in text for code in Code)


def test_fields_that_are_added_later_are_allowed_everywhere() -> None:
    told = sample("partial")
    for part in (told, told["data"], told["data"]["recording"], told["data"]["transcript"], told["data"]["files"]):
        part["later"] = "x"
    for answer in told["data"]["answers"].values():
        answer["later"] = 1
    told["data"]["answers"]["coaching"]["error"]["later"] = 1
    VALIDATOR.validate(told)


def test_a_structured_answer_may_have_a_value_in_place_of_content() -> None:
    told = sample("complete")
    answer = told["data"]["answers"]["summary"]
    del answer["content"]
    assert not VALIDATOR.is_valid(told)
    answer["value"] = {"sentiment": "good"}
    VALIDATOR.validate(told)


BREAKS: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "a time without Z": ("complete", lambda told: told.update(time="2026-03-02T09:16:13+00:00")),
    "no time at all": ("complete", lambda told: told.update(time="yesterday Z")),
    "an unknown outcome": ("complete", lambda told: told["data"].update(outcome="fine")),
    "answers gone without a word": ("complete", lambda told: told["data"].pop("answers")),
    "answers both there and omitted": ("complete", lambda told: told["data"].update(answers_omitted=True)),
    "an answer with an error": ("complete", lambda told: told["data"]["answers"]["summary"].update(error={})),
    "a failure without an error": ("failed", lambda told: told["data"].pop("error")),
    "a success with an error": ("complete", lambda told: told["data"].update(error={"code": "x", "message": "y"})),
    "an error without a code": ("failed", lambda told: told["data"]["error"].pop("code")),
    "no result": ("complete", lambda told: told["data"]["files"].pop("result")),
    "a run of zero": ("complete", lambda told: told["data"].update(run=0)),
    "no recording": ("complete", lambda told: told["data"].pop("recording")),
}


@pytest.mark.parametrize("what", BREAKS)
def test_the_schema_refuses(what: str) -> None:
    name, spoil = BREAKS[what]
    told = sample(name)
    spoil(told)
    assert not VALIDATOR.is_valid(told)
