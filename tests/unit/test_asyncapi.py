"""The AsyncAPI document of the topic.

There is no validator of AsyncAPI 3 among the tools of this repository. What the specification asks of the parts that
the document uses is written down here as a JSON Schema that knows no other field; the rest follows every reference.
AsyncAPI's own `@asyncapi/parser` (for Node.js) took the document without an error when it was last changed.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from service.domain.attributes import MOST, OURS
from service.domain.events import ANALYZED, FAILED
from service.domain.job import Outcome
from tests.unit.event_samples import DOCS, samples

PLACE = DOCS / "events" / "asyncapi.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(PLACE.read_text(encoding="utf-8"))

Schema = dict[str, Any]


def closed(required: str, optional: str = "", **fields: Schema) -> Schema:
    """An object with these fields and no others."""
    names = (required + " " + optional).split()
    return {
        "type": "object",
        "required": required.split(),
        "properties": {name: fields.get(name, {}) for name in names},
        "additionalProperties": False,
    }


def each(of: Schema) -> Schema:
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": of,
        "propertyNames": {"pattern": "^[\\w.-]+$"},
    }


TEXT: Schema = {"type": "string", "minLength": 1}
REFERENCE = closed("$ref", **{"$ref": TEXT})
REFERENCES: Schema = {"type": "array", "minItems": 1, "items": REFERENCE}
SNS_CHANNEL = closed("name", "ordering policy tags bindingVersion", name=TEXT, bindingVersion={"const": "0.1.0"})
SNS_CONSUMER = closed(
    "protocol endpoint rawMessageDelivery",
    "filterPolicy filterPolicyScope redrivePolicy deliveryPolicy displayName",
    protocol={"enum": ["sqs", "http", "https", "lambda", "firehose"]},
    endpoint={"type": "object", "minProperties": 1},
    rawMessageDelivery={"type": "boolean"},
    filterPolicyScope={"enum": ["MessageAttributes", "MessageBody"]},
)
SNS_OPERATION = closed(
    "consumers",
    "topic deliveryPolicy bindingVersion",
    consumers={"type": "array", "minItems": 1, "items": SNS_CONSUMER},
    bindingVersion={"const": "0.1.0"},
)
VARIABLE = closed("", "enum default description examples")
SERVER = closed(
    "host protocol", "description variables", host=TEXT, protocol={"const": "sns"}, variables=each(VARIABLE)
)
CHANNEL = closed(
    "messages",
    "title description address servers bindings",
    address={"type": ["string", "null"]},
    messages=each(REFERENCE),
    servers=REFERENCES,
    bindings=closed("sns", sns=SNS_CHANNEL),
)
OPERATION = closed(
    "action channel",
    "title messages bindings",
    action={"enum": ["send", "receive"]},
    channel=REFERENCE,
    messages=REFERENCES,
    bindings=closed("sns", sns=SNS_OPERATION),
)
MESSAGE = closed(
    "payload",
    "name title summary contentType headers examples",
    payload=closed("schemaFormat schema", schema=REFERENCE),
    headers=REFERENCE,
    examples={"type": "array", "items": closed("name headers payload", payload=REFERENCE)},
)
ASYNCAPI = closed(
    "asyncapi info",
    "id defaultContentType servers channels operations components",
    asyncapi={"const": "3.0.0"},
    id={"type": "string", "pattern": "^[a-z]+:"},
    info=closed("title version", "description license"),
    servers=each(SERVER),
    channels=each(CHANNEL),
    operations=each(OPERATION),
    components=closed("", "messages schemas", messages=each(MESSAGE), schemas=each({"type": "object"})),
)


def references(inside: Any) -> Iterator[str]:
    if isinstance(inside, dict):
        for name, value in inside.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(inside, list):
        for value in inside:
            yield from references(value)


def followed(reference: str) -> Any:
    """What a reference leads to: a place in the document, or a file beside it."""
    file, _, pointer = reference.partition("#")
    found = json.loads((PLACE.parent / file).read_text(encoding="utf-8")) if file else DOCUMENT
    for step in pointer.split("/")[1:]:
        found = found[step]
    return found


def test_the_document_has_the_form_that_the_specification_asks_for() -> None:
    Draft202012Validator(ASYNCAPI).validate(DOCUMENT)


def test_every_reference_leads_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert found
    assert all(followed(reference) for reference in found)


def test_an_operation_names_messages_of_its_own_channel() -> None:
    for operation in DOCUMENT["operations"].values():
        channel = operation["channel"]["$ref"]
        assert {each["$ref"] for each in operation["messages"]} == {
            f"{channel}/messages/{name}" for name in followed(channel)["messages"]
        }


def test_the_messages_are_the_types_of_events_that_are_told() -> None:
    messages = DOCUMENT["components"]["messages"]
    assert {message["name"] for message in messages.values()} == {ANALYZED, FAILED}
    outcomes: list[str] = []
    for message in messages.values():
        headers = followed(message["headers"]["$ref"])
        assert set(headers["required"]) == set(headers["properties"]) == OURS
        assert headers["maxProperties"] == len(OURS) + MOST
        assert headers["properties"]["type"]["const"] == message["name"]
        told = headers["properties"]["outcome"]
        outcomes += told.get("enum") or [told["const"]]
    assert sorted(outcomes) == sorted(outcome.value for outcome in Outcome)


def test_the_payload_is_the_published_schema_of_an_event() -> None:
    for message in DOCUMENT["components"]["messages"].values():
        payload = message["payload"]
        assert (PLACE.parent / payload["schema"]["$ref"]).resolve() == DOCS / "schemas" / "event.v1.json"
        assert payload["schemaFormat"] == "application/schema+json;version=draft-2020-12"


EXAMPLES = [
    (message, example) for message in DOCUMENT["components"]["messages"].values() for example in message["examples"]
]


@pytest.mark.parametrize(("message", "example"), EXAMPLES, ids=lambda value: value["name"])
def test_every_example_is_an_event_as_it_is_told(message: dict[str, Any], example: dict[str, Any]) -> None:
    sample = samples()[example["name"]]
    assert example["headers"] == sample.attributes
    Draft202012Validator(followed(message["headers"]["$ref"])).validate(example["headers"])
    payload = followed(example["payload"]["$ref"])
    assert payload == json.loads(sample.body)
    Draft202012Validator(followed(message["payload"]["schema"]["$ref"])).validate(payload)
    assert payload["type"] == message["name"]


BROKEN = [
    ("asyncapi", "2.6.0"),
    ("channels.recordings.subscribe", {}),
    ("operations.tell.action", "publish"),
    ("channels.recordings.bindings.sns.fifo", True),
    ("components.messages.failed.payload", {"type": "object"}),
]


@pytest.mark.parametrize(("place", "value"), BROKEN, ids=lambda value: str(value)[:40])
def test_what_the_specification_does_not_know_is_found(place: str, value: object) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    *path, last = place.split(".")
    at = document
    for step in path:
        at = at[step]
    at[last] = value
    assert not Draft202012Validator(ASYNCAPI).is_valid(document)
