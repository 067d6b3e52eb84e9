"""The templates and consumers that subscribers start from, run for real."""

import importlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from service.adapters.aws import Aws
from service.adapters.events.sns import SnsEvents
from service.domain.events import Attribute, Event, event
from service.domain.job import Outcome
from service.domain.results import stored_result
from tests.emulator import Emulator, Faulty
from tests.topics import Queue, Topic
from tests.unit.event_samples import SUMMARY, job, result_of, verdict

pytestmark = pytest.mark.anyio

SUBSCRIBERS = Path(__file__).parents[2] / "infra" / "subscribers"
WITHIN = 20.0


def told(run: int = 1, own: Mapping[str, Attribute] | None = None, outcome: Outcome = Outcome.COMPLETE) -> Event:
    """An event as the service makes it."""
    ended = job(verdict(outcome), run=run)
    return event(stored_result(result_of(ended, {"summary": SUMMARY}), "result.json"), own or {})


def created(emulator: Emulator, template: str, **parameters: str) -> Mapping[str, str]:
    """The outputs of a stack made of a template here."""
    formation, name = emulator.client("cloudformation"), emulator.name("stack")
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    formation.create_stack(
        StackName=name, TemplateBody=(SUBSCRIBERS / template).read_text(encoding="utf-8"), Parameters=given
    )
    ends = time.monotonic() + WITHIN
    while True:
        [stack] = formation.describe_stacks(StackName=name)["Stacks"]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        assert stack["StackStatus"] == "CREATE_IN_PROGRESS", stack
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.fixture
def topic(emulator: Emulator) -> Topic:
    return Topic.made(emulator)


@pytest.fixture
def table(emulator: Emulator) -> str:
    return created(emulator, "table.yaml")["Table"]


@pytest.fixture
def place(request: pytest.FixtureRequest, emulator: Emulator, topic: Topic) -> Queue:
    """A queue behind the topic, with raw delivery or without."""
    raw = str(request.param).lower()
    outputs = created(emulator, "queue.yaml", TopicArn=topic.arn, RawDelivery=raw, VisibilityTimeout="1")
    return Queue(emulator, outputs["QueueUrl"])


async def publish(aws: Aws, topic: Topic, *events: Event) -> None:
    for each in events:
        await SnsEvents(aws, topic.arn).publish(each.body, each.attributes, each.group, each.id)


class TestTheQueues:
    async def test_only_events_with_the_answer_that_is_asked_for_arrive(
        self, emulator: Emulator, aws: Aws, topic: Topic
    ) -> None:
        outputs = created(emulator, "queue.yaml", TopicArn=topic.arn, Sentiments="negative,mixed")
        wanted, mixed = told(1, {"sentiment": "negative"}), told(2, {"sentiment": "mixed"})
        await publish(aws, topic, wanted, told(3, {"sentiment": "positive"}), mixed, told(4))
        bodies = [message["Body"].encode() for message in Queue(emulator, outputs["QueueUrl"]).messages()]
        assert sorted(bodies) == sorted([wanted.body, mixed.body])

    async def test_without_raw_delivery_the_event_is_inside_what_sns_says(
        self, emulator: Emulator, aws: Aws, topic: Topic
    ) -> None:
        outputs = created(emulator, "queue.yaml", TopicArn=topic.arn, RawDelivery="false")
        wanted = told(1, {"sentiment": "negative"})
        await publish(aws, topic, wanted)
        [message] = Queue(emulator, outputs["QueueUrl"]).messages()
        assert json.loads(message["Body"])["Message"].encode() == wanted.body

    async def test_what_is_in_the_event_itself_can_be_asked_for(
        self, emulator: Emulator, aws: Aws, topic: Topic
    ) -> None:
        here = created(emulator, "queue-body.yaml", TopicArn=topic.arn, Pipelines="x,support-calls", Outcomes="partial")
        elsewhere = created(emulator, "queue-body.yaml", TopicArn=topic.arn, Pipelines="meetings", Outcomes="partial")
        wanted = told(1, outcome=Outcome.PARTIAL)
        await publish(aws, topic, wanted, told(2))
        assert [each["Body"].encode() for each in Queue(emulator, here["QueueUrl"]).messages()] == [wanted.body]
        assert Queue(emulator, elsewhere["QueueUrl"]).messages() == []

    @pytest.mark.parametrize("template", ["queue.yaml", "queue-body.yaml"])
    def test_what_nobody_can_handle_ends_among_the_dead_letters_and_only_the_topic_may_send(
        self, emulator: Emulator, topic: Topic, template: str
    ) -> None:
        outputs = created(emulator, template, TopicArn=topic.arn)
        sqs = emulator.client("sqs")
        asked = sqs.get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=["All"])["Attributes"]
        redrive = json.loads(asked["RedrivePolicy"])
        assert redrive["deadLetterTargetArn"] == Queue(emulator, outputs["DeadLettersUrl"]).arn
        assert int(redrive["maxReceiveCount"]) == 5
        [statement] = json.loads(asked["Policy"])["Statement"]
        assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": topic.arn}}
        assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
        subscription = emulator.client("sns").list_subscriptions_by_topic(TopicArn=topic.arn)["Subscriptions"]
        assert [each["Endpoint"] for each in subscription] == [outputs["QueueArn"]]

    def test_the_templates_are_clean(self) -> None:
        linter = str(Path(sys.executable).with_name("cfn-lint"))
        templates = sorted(SUBSCRIBERS.glob("*.yaml"))
        assert len(templates) == 3
        subprocess.run([linter, "--non-zero-exit-code", "informational", *templates], check=True, timeout=60)


def consumed(
    program: str, queue: Queue, table: str, url: str | None = None, *more: str
) -> subprocess.CompletedProcess[str]:
    """A consumer run until its queue is empty."""
    environment = {**os.environ, **queue.emulator.environment, "AWS_MAX_ATTEMPTS": "1"}
    if url:
        environment["AWS_ENDPOINT_URL"] = url
    command = [sys.executable, program, "--queue", queue.url, "--table", table, "--until-empty", "--seconds", "20"]
    return subprocess.run(
        [*command, *more], cwd=SUBSCRIBERS, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def ids(lines: str) -> list[str]:
    """The events that were handled, in their order."""
    return [json.loads(line)["id"] for line in lines.splitlines()]


def ends_visible(queue: Queue, count: int) -> None:
    """Returns once so many messages, received and not deleted, can be received again."""
    ends = time.monotonic() + WITHIN
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    while True:
        asked = queue.emulator.client("sqs").get_queue_attributes(QueueUrl=queue.url, AttributeNames=names)
        visible, hidden = (int(asked["Attributes"][name]) for name in names)
        if hidden == 0:
            assert visible == count
            return
        assert time.monotonic() < ends
        time.sleep(0.02)


NEGATIVE: dict[str, Attribute] = {"sentiment": "negative"}


class TestTheConsumers:
    @pytest.mark.parametrize(
        ("place", "program"), [(True, "sqs_raw.py"), (False, "sqs_wrapped.py")], indirect=["place"]
    )
    async def test_an_event_is_handled_once_however_often_it_is_told_and_the_highest_run_counts(
        self, place: Queue, program: str, aws: Aws, topic: Topic, table: str
    ) -> None:
        first, second, third = (told(run, NEGATIVE) for run in (1, 2, 3))
        await publish(aws, topic, first, first, first)
        ran = consumed(program, place, table)
        assert (ids(ran.stdout), ran.returncode, ran.stderr) == ([first.id], 0, "")
        await publish(aws, topic, third, first, third)
        assert set(ids(consumed(program, place, table).stdout)) <= {third.id}
        await publish(aws, topic, second, third, first)
        assert ids(consumed(program, place, table).stdout) == []
        assert place.messages() == [], "all of them are deleted"

    @pytest.mark.parametrize("place", [True], indirect=True)
    async def test_a_crash_between_handling_and_deleting_handles_nothing_again(
        self, place: Queue, aws: Aws, topic: Topic, table: str, faulty: Faulty
    ) -> None:
        made = told(1, NEGATIVE)
        await publish(aws, topic, made)
        faulty.rules({"service": "sqs", "operation": "DeleteMessage", "error": {"code": "AccessDenied", "status": 403}})
        crashed = consumed("sqs_raw.py", place, table, faulty.url)
        assert (ids(crashed.stdout), crashed.returncode) == ([made.id], 1)
        ends_visible(place, 1)
        ran = consumed("sqs_raw.py", place, table)
        assert (ids(ran.stdout), ran.returncode) == ([], 0)
        assert place.messages() == []

    @pytest.mark.parametrize("place", [True], indirect=True)
    async def test_a_message_that_another_consumer_is_at_is_left_to_it(
        self, place: Queue, aws: Aws, topic: Topic, consumer: "Consumer", table: str
    ) -> None:
        made = told(1, NEGATIVE)
        await publish(aws, topic, made)
        consumer.ledger(time.time()).claim(json.loads(made.body))
        ran = consumed("sqs_raw.py", place, table)
        assert (ran.stdout, ran.returncode) == ("", 0)
        ends_visible(place, 1)

    @pytest.mark.parametrize("place", [True], indirect=True)
    async def test_what_is_no_event_is_left_for_the_dead_letters_and_stops_no_other(
        self, place: Queue, aws: Aws, topic: Topic, table: str, emulator: Emulator
    ) -> None:
        made = told(1, NEGATIVE)
        later = json.dumps(json.loads(told(2).body) | {"type": "afterword.recording.analyzed.v2"})
        for text in ("no json", "[]", later):
            emulator.client("sqs").send_message(QueueUrl=place.url, MessageBody=text)
        await publish(aws, topic, made)
        ran = consumed("sqs_raw.py", place, table)
        assert (ids(ran.stdout), ran.returncode) == ([made.id], 1)
        assert ran.stderr.count(" is left: ") >= 3
        ends_visible(place, 3)


class Consumer:
    """The consumers' own modules, in this process."""

    def __init__(self, emulator: Emulator, table: str) -> None:
        self.ledgers = importlib.import_module("ledger")
        self.handling = importlib.import_module("handling")
        self.lambdas = importlib.import_module("lambda_function")
        self.emulator = emulator
        self.table = table
        self.handled: list[str] = []

    def ledger(self, at: float) -> Any:
        return self.ledgers.Ledger(self.emulator.client("dynamodb"), self.table, lease=60, clock=lambda: at)

    def once(self, made: Event, at: float = 1000.0) -> bool:
        """Whether the message may be deleted."""
        return bool(self.handling.once(made.body.decode(), self.ledger(at), self.note))

    def note(self, event: Mapping[str, Any]) -> None:
        self.handled.append(event["id"])


@pytest.fixture
def consumer(emulator: Emulator, table: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Consumer]:
    monkeypatch.syspath_prepend(str(SUBSCRIBERS))
    monkeypatch.setenv("TABLE", table)
    yield Consumer(emulator, table)
    for name in ("ledger", "handling", "lambda_function"):
        sys.modules.pop(name)


class TestHandlingOnce:
    def test_one_consumer_at_a_time_is_at_an_event_and_after_the_lease_the_next(self, consumer: Consumer) -> None:
        made = told()
        assert consumer.ledger(1000.0).claim(json.loads(made.body)) is consumer.ledgers.Claim.OURS
        assert not consumer.once(made, at=1059.0)
        assert consumer.handled == []
        assert consumer.once(made, at=1061.0)
        assert consumer.handled == [made.id]
        assert consumer.once(made, at=1e9)
        assert consumer.handled == [made.id]

    def test_what_could_not_be_handled_may_be_tried_again_at_once(self, consumer: Consumer) -> None:
        made = told()

        def fail(event: Mapping[str, Any]) -> None:
            raise OSError("no room")

        with pytest.raises(OSError, match="no room"):
            consumer.handling.once(made.body.decode(), consumer.ledger(1000.0), fail)
        assert consumer.once(made, at=1000.5)
        assert consumer.handled == [made.id]

    def test_a_run_that_a_later_one_has_overtaken_is_not_handled_any_more(self, consumer: Consumer) -> None:
        first, second, third = told(1), told(2), told(3)
        assert [consumer.once(each) for each in (second, first, third, second, third)] == [True] * 5
        assert consumer.handled == [second.id, third.id]

    def test_a_later_run_is_taken_while_an_earlier_one_is_in_work(self, consumer: Consumer) -> None:
        first, second = json.loads(told(1).body), told(2)
        consumer.ledger(1000.0).claim(first)
        assert consumer.once(second)
        consumer.ledger(1001.0).done(first)
        consumer.ledger(1001.0).release(first)
        assert consumer.once(second, at=2000.0)
        assert consumer.handled == [second.id], "and the earlier one's end changes nothing"

    def test_of_each_source_and_job_the_runs_are_counted_apart(self, consumer: Consumer) -> None:
        one = json.loads(told(1).body)
        others = [
            one | {"id": "2", "source": "/staging/support-calls"},
            one | {"id": "3", "data": one["data"] | {"job_id": "job_" + "0" * 32}},
        ]
        for each in (one, *others):
            consumer.handling.once(json.dumps(each), consumer.ledger(1000.0), consumer.note)
        assert consumer.handled == [one["id"], "2", "3"]

    def test_all_answers_are_found_whether_the_event_holds_them_or_not(
        self, consumer: Consumer, emulator: Emulator
    ) -> None:
        s3, bucket = emulator.client("s3"), emulator.name("results")
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
        key = "support-calls/calls/a b+%2B ü.mp3/job/result.json"
        s3.put_object(Bucket=bucket, Key=key, Body=b'{"answers": {"summary": {"content": "long"}}}')
        whole = json.loads(told().body)
        assert consumer.handling.answers(whole, s3) == whole["data"]["answers"]
        data = {name: value for name, value in whole["data"].items() if name != "answers"}
        short = whole | {"data": data | {"answers_omitted": True, "files": {"result": f"s3://{bucket}/{key}"}}}
        assert consumer.handling.answers(short, s3) == {"summary": {"content": "long"}}


class Context:
    """What Lambda tells of an invocation."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class TestTheLambdaFunction:
    @pytest.mark.parametrize("raw", ["true", "false"])
    async def test_a_queues_messages_are_handled_once_and_the_bad_ones_named(
        self,
        consumer: Consumer,
        emulator: Emulator,
        aws: Aws,
        topic: Topic,
        capsys: pytest.CaptureFixture[str],
        raw: str,
    ) -> None:
        queue = topic.subscribed({"RawMessageDelivery": raw})
        made = told()
        await publish(aws, topic, made, made)
        emulator.client("sqs").send_message(QueueUrl=queue.url, MessageBody="no json")
        messages = queue.messages()
        records = [
            {"messageId": each["MessageId"], "body": each["Body"], "eventSource": "aws:sqs"} for each in messages
        ]
        [bad] = [each["MessageId"] for each in messages if each["Body"] == "no json"]
        answer = consumer.lambdas.lambda_handler({"Records": records}, Context())
        assert answer == {"batchItemFailures": [{"itemIdentifier": bad}]}
        lines = capsys.readouterr().out.splitlines()
        assert [json.loads(line)["id"] for line in lines if line.startswith("{")] == [made.id]

    def test_the_topics_own_call_is_handled_once_and_fails_as_a_whole(
        self, consumer: Consumer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        made = told()
        # The form in which SNS calls a function, by Lambda's documentation.
        invocation = {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": made.body.decode()}}]}
        for _ in range(2):
            assert consumer.lambdas.lambda_handler(invocation, Context()) == {"batchItemFailures": []}
        assert ids(capsys.readouterr().out) == [made.id]
        later = told(2)
        consumer.ledger(time.time()).claim(json.loads(later.body))
        with pytest.raises(RuntimeError, match="another invocation"):
            consumer.lambdas.lambda_handler({"Records": [{"Sns": {"Message": later.body.decode()}}]}, Context())


def test_the_consumers_know_nothing_of_the_service() -> None:
    for program in SUBSCRIBERS.glob("*.py"):
        assert "service" not in re.findall(r"^(?:from|import) (\w+)", program.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_page_shows_every_file_and_every_link_of_it_leads_somewhere() -> None:
    page = (SUBSCRIBERS / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert all((SUBSCRIBERS / link.partition("#")[0]).exists() for link in links)
    assert {each.name for each in SUBSCRIBERS.iterdir() if each.is_file()} - {"README.md"} <= set(links)


def test_the_commands_that_are_shown_have_the_options_and_parameters_that_there_are() -> None:
    shown = "\n".join(
        each.read_text(encoding="utf-8") for each in (SUBSCRIBERS / "README.md", SUBSCRIBERS / "sqs_raw.py")
    )
    told = subprocess.run(
        [sys.executable, "sqs_raw.py", "--help"],
        cwd=SUBSCRIBERS,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for line in re.findall(r"^.*python sqs_.*$", shown, re.MULTILINE):
        assert set(re.findall(r" (--[a-z-]+)", line)) <= set(re.findall(r"(--[a-z-]+)", told.stdout)), line
    template = (SUBSCRIBERS / "queue.yaml").read_text(encoding="utf-8")
    assert "TopicArn=" in shown
    assert all(f"  {name}:\n" in template for name in ("TopicArn", "Sentiments", "RawDelivery", "VisibilityTimeout"))
