"""A structured answer on its way to subscribers: from a schema file to the value, the next prompt and the filter."""

import json
from pathlib import Path

import pytest

from tests.emulator import Emulator
from tests.premises import Premises, eventually
from tests.standin import ledger, set_faults
from tests.topics import Topic

pytestmark = pytest.mark.anyio

PIPELINES = """
[defaults]
model = "claude-sonnet-4-6"

[[pipelines]]
name = "calls"
match = ["**/*.wav"]

[[pipelines.prompts]]
name = "triage"
prompt = "Classify {{ source.key }}. {{ transcript }}"
schema = "schemas/triage.json"

[[pipelines.prompts]]
name = "reply"
prompt = "Reply to what was sorted as {{ answers.triage }}"

[pipelines.attributes]
mood = "answers.triage.mood"
topics = "answers.triage.topics"
tier = "answers.triage.customer.tier"
urgent = "answers.triage.urgent"
worth = "answers.triage.worth"
note = "answers.triage.note"
"""
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["mood", "topics", "customer", "urgent", "worth", "note"],
    "properties": {
        "mood": {"enum": ["good", "bad"]},
        "topics": {"type": "array", "items": {"type": "string"}},
        "customer": {"$ref": "#/$defs/customer"},
        "urgent": {"type": "boolean"},
        "worth": {"type": "integer"},
        "note": {"type": ["string", "null"]},
    },
    "$defs": {"customer": {"type": "object", "required": ["tier"], "properties": {"tier": {"type": "string"}}}},
}
VALUE = {
    "mood": "bad",
    "topics": ["refund", "delay"],
    "customer": {"tier": "gold"},
    "urgent": True,
    "worth": 5_000_000_000,
    "note": None,
}


async def test_what_follows_a_schema_is_told_as_a_value_and_filtered_by(
    tmp_path: Path, standin: str, emulator: Emulator
) -> None:
    topic = Topic.made(emulator)
    policy = {"mood": ["bad"], "topics": ["delay"], "tier": ["gold"], "urgent": ["true"], "note": [{"exists": False}]}
    wanted, others = topic.filtered(policy), topic.filtered({"mood": ["good"]})
    premises = Premises(tmp_path, standin, AFTERWORD_EVENTS=topic.arn)
    premises.pipelines(PIPELINES)
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/triage.json").write_text(json.dumps(SCHEMA))
    said = json.dumps(VALUE)
    set_faults(standin, {"on": "ask", "do": "say", "content": said, "match": {"contains": "Classify"}})
    messages = []
    async with premises.serving():
        premises.drop("one.wav", "The kettle leaks.", "We send another one on Friday.")
        await eventually(lambda: messages.extend(wanted.messages()) or messages)
    assert others.messages() == []
    [message] = messages
    told = {name: (each["Type"], each["Value"]) for name, each in attributes(message).items()}
    assert told["topics"] == ("String.Array", '["refund","delay"]')
    assert told["worth"] == ("String", "5000000000")
    answers = json.loads(message["Body"])["data"]["answers"]
    assert answers["triage"]["value"] == VALUE
    assert "content" not in answers["triage"]
    assert "content" in answers["reply"]
    (stored,) = premises.files("answers/triage.json")
    assert (json.loads(stored.read_bytes())["content"], json.loads(stored.read_bytes())["value"]) == (said, VALUE)
    assert ledger(standin)["calls"]["ask"] == 2


def attributes(message: object) -> dict[str, dict[str, str]]:
    assert isinstance(message, dict)
    found = message["MessageAttributes"]
    return {name: {"Type": each["DataType"], "Value": each["StringValue"]} for name, each in found.items()}
