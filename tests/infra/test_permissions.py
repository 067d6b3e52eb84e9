"""Least privilege, shown: with the task role's policy all works, without any one action of it something does not."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from service.adapters import missing
from service.adapters.aws import Aws
from service.adapters.drops.hand import Hand, Pace
from service.adapters.drops.objects import described, listed
from service.adapters.events.sns import SnsEvents
from service.adapters.jobs.dynamodb import DynamoStore, open_table_store
from service.adapters.jobs.dynamodb_checks import lifetime_problems
from service.adapters.jobs.dynamodb_schema import ACTIONS
from service.adapters.pipelines import InBucket
from service.adapters.recordings.objects import Objects
from service.adapters.results.bucket import BucketResults
from service.adapters.results.parts import PART
from service.cli.aws_probes import probe
from service.cli.tried import Tried
from service.domain.errors import RecordingMissing, StorageTrouble, Unavailable
from service.domain.job import STEPS, JobId, Status
from service.domain.objects import ObjectPlace, parsed
from service.engine.row import Callback
from service.settings.load import Settings
from tests.contract.storing import CURRENT, DAY, LEASE, NOW, claimed, row, save
from tests.emulator import client
from tests.infra.deployed import CALLS_BACK, Deployment, Stack, deployed
from tests.infra.enforced import Enforced, enforcing
from tests.standin import script

Probe = Callable[[Aws, Stack], Awaitable[None]]


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enforced]:
    with enforcing(tmp_path_factory.mktemp("enforced")) as made:
        yield made


@pytest.fixture(scope="module")
def stack(enforced: Enforced) -> Stack:
    return deployed(enforced.emulator, **CALLS_BACK)


@pytest.mark.anyio
async def test_the_main_job_is_done_with_the_task_roles_own_policy(
    enforced: Enforced, stack: Stack, standin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in enforced.somebody(stack.policy()).items():
        monkeypatch.setenv(name, value)
    enforced.gate.refusals.clear()
    deployment = Deployment(stack, standin)
    heard = deployment.subscribed({"outcome": ["complete"]})
    deployment.put("calls/1.wav", "Good morning.", "How can I help?")
    async with deployment.serving():
        (event,) = await deployment.heard(heard)
    assert sorted(event["data"]["answers"]) == ["mood", "next-steps", "summary"]
    assert enforced.gate.refusals == [], "nothing is tried that is not allowed"


async def hear(aws: Aws, stack: Stack) -> None:
    url, queue = stack.outputs["RecordingsQueueUrl"], stack.emulator.client("sqs")
    await missing.queue(aws, url)
    hand = Hand(aws, url, Pace(poll=1))
    queue.send_message(QueueUrl=url, MessageBody="{}")
    (message,) = await hand.receive(1)
    hand.leave(message, 0)
    await hand.give_back()
    (message,) = await hand.receive(1)
    hand.done(message)
    await hand.give_back()


async def read_recordings(aws: Aws, stack: Stack) -> None:
    bucket, s3 = stack.outputs["RecordingsBucketName"], stack.emulator.client("s3")
    s3.put_object(Bucket=bucket, Key="probe/one.wav", Body=script("Hello."))
    recording = await described(aws, ObjectPlace(bucket=bucket, key="probe/one.wav"), lambda: NOW)
    recordings = Objects(aws, lifetime=600.0)
    assert await recordings.url(recording, JobId("job_1"))
    async with recordings.open(recording) as sound:
        assert b"".join([piece async for piece in sound.chunks()])


async def tell_missing_from_denied(aws: Aws, stack: Stack) -> None:
    results = BucketResults(aws, stack.outputs["ResultsBucketName"], "")
    assert not await results.has("never/there")
    with pytest.raises(RecordingMissing, match="not there"):
        await described(
            aws, ObjectPlace(bucket=stack.outputs["RecordingsBucketName"], key="never/there.wav"), lambda: NOW
        )


async def keep_results(aws: Aws, stack: Stack) -> None:
    results = BucketResults(aws, stack.outputs["ResultsBucketName"], "")
    await results.put_new("probe/result.json", b"{}", "application/json")
    assert await results.get("probe/result.json") == b"{}"

    async def broken_off() -> AsyncIterator[bytes]:
        yield bytes(PART)
        raise Unavailable("it broke off")

    with pytest.raises(Unavailable):
        await results.put_new_stream("probe/redacted.mp3", broken_off(), "audio/mpeg")


async def read_pipelines(aws: Aws, stack: Stack) -> None:
    place = parsed(stack.environment["AFTERWORD_PIPELINES"])
    assert place is not None
    pipelines = InBucket(aws, place)
    assert isinstance(pipelines.text(), str)
    assert isinstance(pipelines.beside("p/s.md"), str)


async def keep_jobs(aws: Aws, stack: Stack) -> None:
    async with opened(aws, stack) as store:
        await lifetime_problems(aws, stack.outputs["JobsTableName"])
        name = stack.emulator.name("job")
        held = await claimed(store, name=name)
        await store.table.save(held.id, held.token, save(Status.SUBMITTED))
        # More than there are calls at once: the last ones go together.
        waiting = [(await store.table.add(row(f"{name}-{number}", status=Status.SUBMITTED)))[0] for number in range(9)]
        await asyncio.gather(
            *(store.table.call_back(Callback(row_id=each.id, subject="tr_1")) for each in (held, *waiting))
        )
        assert await store.unmatched.keep(f"s3://theirs/{name}", b"{}")
        await store.unmatched.forget(f"s3://theirs/{name}")


async def find_jobs(aws: Aws, stack: Stack) -> None:
    async with opened(aws, stack) as store:
        await claimed(store, name=stack.emulator.name("job"))
        assert await store.jobs.page(limit=10)
        assert await store.jobs.counts()


async def tell_events(aws: Aws, stack: Stack) -> None:
    await SnsEvents(aws, stack.outputs["EventsTopicArn"]).publish(b"{}", {"type": "probe"}, "group", "id")


@asynccontextmanager
async def opened(aws: Aws, stack: Stack) -> AsyncIterator[DynamoStore]:
    table, keep = stack.outputs["JobsTableName"], 90 * DAY
    async with open_table_store(
        aws, table, steps=STEPS, lease=LEASE, keep=keep, clock=lambda: NOW, random=Random(), ages=CURRENT
    ) as store:
        yield store


PROBES: Mapping[str, Probe] = {
    "HearOfRecordings": hear,
    "ReadRecordings": read_recordings,
    "TellMissingFromDenied": tell_missing_from_denied,
    "KeepResults": keep_results,
    "ReadPipelines": read_pipelines,
    "KeepJobs": keep_jobs,
    "FindJobs": find_jobs,
    "TellEvents": tell_events,
}


async def refused(enforced: Enforced, stack: Stack, policy: Mapping[str, Any], sid: str) -> list[str]:
    """What was refused to somebody with this policy who does what a statement is for."""
    enforced.gate.refusals.clear()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in enforced.somebody(policy).items():
            patch.setenv(name, value)
        aws = Aws()
        try:
            await PROBES[sid](aws, stack)
        except Exception as error:  # whatever it is: it must come of a refusal
            if not enforced.gate.refusals:
                raise AssertionError(f"{sid} fails, and nothing was refused") from error
        finally:
            aws.close()
    return list(enforced.gate.refusals)


@pytest.mark.anyio
async def test_each_statement_is_enough_for_what_it_is_for(enforced: Enforced, stack: Stack) -> None:
    policy = stack.policy()
    assert {each["Sid"] for each in policy["Statement"]} == set(PROBES)
    for sid in PROBES:
        assert await refused(enforced, stack, policy, sid) == [], sid


@pytest.mark.anyio
async def test_no_action_of_any_statement_can_be_spared(enforced: Enforced, stack: Stack) -> None:
    spared = []
    for statement in stack.policy()["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        for action in actions:
            policy = _without(stack.policy(), statement["Sid"], action)
            if not await refused(enforced, stack, policy, statement["Sid"]):
                spared.append(action)
    assert spared == []


def _without(policy: dict[str, Any], sid: str, action: str) -> dict[str, Any]:
    for statement in policy["Statement"]:
        if statement["Sid"] == sid:
            actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
            statement["Action"] = [each for each in actions if each != action]
    policy["Statement"] = [each for each in policy["Statement"] if each["Action"]]
    return policy


def test_the_table_is_used_as_the_service_says(stack: Stack) -> None:
    granted = [each["Action"] for each in stack.policy()["Statement"] if each["Sid"] in {"KeepJobs", "FindJobs"}]
    flat = [action for each in granted for action in ([each] if isinstance(each, str) else each)]
    assert sorted(flat) == sorted(ACTIONS)


def test_nothing_is_reached_unencrypted(enforced: Enforced, stack: Stack) -> None:
    everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}], "Version": "2012-10-17"}
    me = enforced.somebody(everything)
    keys = {name.lower(): me[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    s3, sqs, sns = (client(service, enforced.plain, **keys) for service in ("s3", "sqs", "sns"))
    asked = [
        lambda: s3.list_objects_v2(Bucket=stack.outputs["RecordingsBucketName"]),
        lambda: s3.list_objects_v2(Bucket=stack.outputs["ResultsBucketName"]),
        lambda: sqs.receive_message(QueueUrl=stack.outputs["RecordingsQueueUrl"]),
        lambda: sqs.receive_message(QueueUrl=stack.outputs["DeadLetterQueueUrl"]),
        lambda: sns.publish(TopicArn=stack.outputs["EventsTopicArn"], Message="{}"),
    ]
    for ask in asked:
        with pytest.raises(ClientError, match=r"AccessDenied|AuthorizationError"):
            ask()


class TestOperators:
    def policy(self, stack: Stack) -> dict[str, Any]:
        iam, arn = stack.emulator.client("iam"), stack.outputs["OperatorPolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        return json.loads(document) if isinstance(document, str) else dict(document)

    @pytest.mark.anyio
    async def test_they_check_list_and_submit_with_the_policy_that_the_stack_makes(
        self, enforced: Enforced, stack: Stack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in enforced.somebody(self.policy(stack)).items():
            monkeypatch.setenv(name, value)
        settings = Settings.load({**stack.environment, "AFTERWORD_AUDIO": "upload"})
        bucket = stack.outputs["RecordingsBucketName"]
        tried, aws = Tried(), Aws()
        try:
            await probe(settings, [ObjectPlace(bucket=bucket, key="probe")], aws, tried)
            # The emulator passes over a time to live that comes from a template.
            assert [each.place for each in (*tried.problems, *tried.warnings)] in ([], ["AFTERWORD_JOBS"])
            assert tried.problems == []
            async with opened(aws, stack) as store:
                await store.jobs.page(limit=10)
                await claimed(store, name=stack.emulator.name("job"))
            assert [page async for page in listed(aws, ObjectPlace(bucket=bucket, key="calls/"))]
            results = BucketResults(aws, stack.outputs["ResultsBucketName"], "")
            assert not await results.has("never/there")
            await SnsEvents(aws, stack.outputs["EventsTopicArn"]).publish(b"{}", {}, "group", "id")
            with pytest.raises(StorageTrouble, match="s3:PutObject"):
                await results.put_new("forged/result.json", b"{}", "application/json")
        finally:
            aws.close()
