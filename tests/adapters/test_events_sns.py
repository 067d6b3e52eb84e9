"""What SNS makes of an event: attributes, groups, regions, and the sentences that its troubles become."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from service.adapters.aws import Aws
from service.adapters.events.sns import SnsEvents, is_fifo, problems
from service.domain.errors import StorageTrouble
from service.domain.events import Attribute
from tests.emulator import ACCOUNT, Emulator, Faulty
from tests.topics import Topic

pytestmark = pytest.mark.anyio

BODY = b'{"id":"1"}'
NOWHERE = f"arn:aws:sns:eu-west-1:{ACCOUNT}:nowhere"


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore's pauses between its attempts would be most of the time that these tests take."""
    monkeypatch.setattr("service.adapters.aws.ATTEMPTS", 1)


async def told(aws: Aws, emulator: Emulator, attributes: Mapping[str, Attribute]) -> Mapping[str, Any]:
    """The attributes as a subscriber without raw delivery sees them."""
    topic = Topic.made(emulator)
    queue = topic.subscribed()
    await SnsEvents(aws, topic.arn).publish(BODY, attributes, "group", "1")
    [message] = queue.messages()
    wrapped = json.loads(message["Body"])
    assert wrapped["Message"].encode() == BODY
    return {name: (each["Type"], each["Value"]) for name, each in wrapped["MessageAttributes"].items()}


async def test_each_kind_of_attribute_has_the_form_that_filters_compare(aws: Aws, emulator: Emulator) -> None:
    attributes: dict[str, Attribute] = {
        "text": "Grüße",
        "yes": True,
        "no": False,
        "whole": -1_000_000_000,
        "part": 0.00000125,
        "list": ("a", 1, True, 0.5, "\x00ü"),
    }
    assert await told(aws, emulator, attributes) == {
        "text": ("String", "Grüße"),
        "yes": ("String", "true"),
        "no": ("String", "false"),
        "whole": ("Number", "-1000000000"),
        "part": ("Number", "0.00000125"),
        "list": ("String.Array", '["a",1,true,0.5,"\ufffdü"]'),
    }


async def test_a_number_of_more_digits_than_sns_takes_is_told_as_text(aws: Aws, emulator: Emulator) -> None:
    found = await told(aws, emulator, {"tiny": 1e-300, "largest": 123456789.12345679, "last": 1e-36, "over": -1e-36})
    assert found == {
        "tiny": ("String", "1e-300"),
        "largest": ("Number", "123456789.12345679"),
        "last": ("Number", "0." + "0" * 35 + "1"),
        "over": ("String", "-1e-36"),
    }


async def test_characters_that_no_message_may_hold_are_replaced(aws: Aws, emulator: Emulator) -> None:
    attributes: dict[str, Attribute] = {"mood": "a\x00b\x1bc\ufffe\uffff\t\r\n\x7f\U0010ffff"}
    assert await told(aws, emulator, attributes) == {
        "mood": ("String", "a\ufffdb\ufffdc\ufffd\ufffd\t\r\n\x7f\U0010ffff")
    }


@pytest.mark.parametrize(
    ("policy", "takes"),
    [
        ({"outcome": ["complete"]}, True),
        ({"outcome": ["failed"]}, False),
        ({"score": [{"numeric": [">", 0.5]}]}, True),
        ({"score": [{"numeric": ["<", 0.5]}]}, False),
        ({"tags": ["billing"]}, True),
        ({"tags": ["refund"]}, False),
        ({"urgent": ["true"]}, True),
        ({"missing": [{"exists": False}], "urgent": [{"exists": True}]}, True),
    ],
)
async def test_subscribers_filter_by_attributes(
    aws: Aws, emulator: Emulator, policy: Mapping[str, object], *, takes: bool
) -> None:
    topic = Topic.made(emulator)
    queue = topic.filtered(policy)
    own: dict[str, Attribute] = {"outcome": "complete", "score": 0.75, "tags": ("billing", "late"), "urgent": True}
    await SnsEvents(aws, topic.arn).publish(BODY, own, "group", "1")
    assert len(queue.messages()) == takes


async def test_a_fifo_topic_keeps_the_order_of_a_recording_and_takes_an_event_once(
    aws: Aws, emulator: Emulator
) -> None:
    topic = Topic.made(emulator, fifo=True)
    queue, events = topic.subscribed({"RawMessageDelivery": "true"}), SnsEvents(aws, topic.arn)
    for number in ("1", "2", "2", "3", "1"):
        await events.publish(number.encode(), {"type": "t"}, "a" * 64, f"id-{number}")
    messages = queue.messages()
    assert [message["Body"] for message in messages] == ["1", "2", "3"]
    assert {message["Attributes"]["MessageGroupId"] for message in messages} == {"a" * 64}
    assert [message["Attributes"]["MessageDeduplicationId"] for message in messages] == ["id-1", "id-2", "id-3"]


@pytest.mark.parametrize("group", ["s3://bucket/a b.mp3", "ä", "x" * 129, ""])
async def test_a_group_that_sns_does_not_take_becomes_one_that_it_takes(
    aws: Aws, emulator: Emulator, group: str
) -> None:
    topic = Topic.made(emulator, fifo=True)
    queue, events = topic.subscribed({"RawMessageDelivery": "true"}), SnsEvents(aws, topic.arn)
    await events.publish(b"1", {}, group, "ä 1")
    await events.publish(b"2", {}, group, "ä 2")
    await events.publish(b"3", {}, f"{group}!ß", "ä 3")
    names = [message["Attributes"]["MessageGroupId"] for message in queue.messages()]
    assert len(set(names)) == 2
    assert all(len(name) <= 128 and name.isascii() and name.isprintable() and " " not in name for name in names)


async def test_a_standard_topic_is_given_no_group(aws: Aws, emulator: Emulator) -> None:
    topic = Topic.made(emulator)
    queue = topic.subscribed({"RawMessageDelivery": "true"})
    await SnsEvents(aws, topic.arn).publish(BODY, {}, "group", "1")
    assert "MessageGroupId" not in queue.messages()[0]["Attributes"]
    assert not is_fifo(topic.arn)


async def test_the_region_is_the_topics_own_whatever_the_environment_says(
    aws: Aws, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = Topic.made(emulator)
    monkeypatch.setenv("AWS_REGION", "us-east-2")
    await SnsEvents(aws, topic.arn).publish(BODY, {}, "group", "1")
    assert await problems(aws, topic.arn) == ()


TROUBLES = [
    ({"error": {"code": "NotFound", "status": 404}}, "is not there; make it, or name another one in AFTERWORD_EVENTS"),
    ({"error": {"code": "AuthorizationError", "status": 403}}, "may not be published to .*; give .* sns:Publish"),
    ({"error": {"code": "KMSDisabled", "status": 400}}, r"cannot use its key \(KMSDisabled\); enable"),
    ({"error": {"code": "Throttled", "status": 429}}, r"takes no more just now \(Throttled\); .* quota"),
    ({"error": {"code": "KMSThrottling", "status": 400}}, "takes no more just now"),
    ({"error": {"code": "InternalError", "status": 500}}, "cannot be published to .*; see that SNS can be reached"),
    ({"error": {"code": "InvalidParameter", "status": 400}}, "refuses the event's message .*; this does not pass by"),
    ({"response": {"abort_frac": 0.3}}, "cannot be published to .*; see that SNS can be reached"),
]


@pytest.mark.parametrize(("fault", "words"), TROUBLES)
async def test_whatever_goes_wrong_is_told_with_the_topic_and_a_cure_and_tried_again(
    aws: Aws, faulty: Faulty, emulator: Emulator, fault: Mapping[str, object], words: str
) -> None:
    topic = Topic.made(emulator)
    faulty.rules({"service": "sns", "operation": "Publish", **fault})
    with pytest.raises(StorageTrouble, match=f"the topic {topic.arn} {words}"):
        await SnsEvents(aws, topic.arn).publish(BODY, {}, "group", "1")


async def test_after_a_lost_acknowledgement_the_same_event_is_told_again(
    aws: Aws, faulty: Faulty, emulator: Emulator
) -> None:
    topic = Topic.made(emulator, fifo=True)
    queue, events = topic.subscribed({"RawMessageDelivery": "true"}), SnsEvents(aws, topic.arn)
    faulty.rules({"service": "sns", "operation": "Publish", "response": {"abort_frac": 0.3}})
    with pytest.raises(StorageTrouble):
        await events.publish(BODY, {}, "group", "1")
    faulty.clear()
    await events.publish(BODY, {}, "group", "1")
    assert [message["Body"].encode() for message in queue.messages()] == [BODY], "a FIFO topic drops the second"


async def test_what_sns_quotes_of_an_attribute_is_not_told(aws: Aws, faulty: Faulty, emulator: Emulator) -> None:
    topic = Topic.made(emulator)
    error = {"code": "InvalidParameterValue", "status": 400, "message": "the value 'she is furious' cannot be"}
    faulty.rules({"service": "sns", "operation": "Publish", "error": error})
    events = SnsEvents(aws, topic.arn)
    with pytest.raises(StorageTrouble) as caught:
        await events.publish(BODY, {"mood": "she is furious"}, "group", "1")
    assert "furious" not in str(caught.value)
    with pytest.raises(StorageTrouble, match="furious"):
        await events.publish(BODY, {"mood": "else"}, "group", "1")


async def test_a_message_over_the_limit_is_told_in_snss_words(aws: Aws, emulator: Emulator) -> None:
    topic = Topic.made(emulator)
    with pytest.raises(StorageTrouble, match=r"refuses .*too long.*does not pass by itself"):
        await SnsEvents(aws, topic.arn).publish(b"x" * 262_145, {}, "group", "1")


@pytest.mark.parametrize("fifo", [False, True])
async def test_finding_out_whether_a_topic_takes_events_tells_nobody(
    aws: Aws, emulator: Emulator, *, fifo: bool
) -> None:
    topic = Topic.made(emulator, fifo=fifo)
    queue = topic.subscribed()
    assert await problems(aws, topic.arn) == ()
    assert queue.messages() == []


async def test_a_topic_that_is_not_there_is_a_problem_with_its_cure(aws: Aws, emulator: Emulator) -> None:
    [problem] = await problems(aws, NOWHERE)
    assert str(problem).startswith(f"AFTERWORD_EVENTS: the topic {NOWHERE} is not there; make it")


async def test_a_topic_that_may_not_be_published_to_is_a_problem(aws: Aws, faulty: Faulty, emulator: Emulator) -> None:
    faulty.rules({"service": "sns", "operation": "Publish", "error": {"code": "AuthorizationError", "status": 403}})
    [problem] = await problems(aws, Topic.made(emulator).arn)
    assert "sns:Publish" in problem.cure


@pytest.mark.parametrize("code", ["InternalError", "Throttled", "KMSThrottling"])
async def test_what_may_pass_is_no_problem_of_the_topics(
    aws: Aws, faulty: Faulty, emulator: Emulator, code: str
) -> None:
    faulty.rules({"service": "sns", "operation": "Publish", "error": {"code": code, "status": 500}})
    with pytest.raises(StorageTrouble, match="the topic"):
        await problems(aws, Topic.made(emulator).arn)
