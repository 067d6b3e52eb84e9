"""What infra/afterword.yaml makes, and the main job on it."""

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest
from botocore.exceptions import ClientError

from service.adapters.jobs.dynamodb_schema import EXPIRES_AT, INDEXES, KEY_TYPES, definition
from service.domain.job import JobId
from service.domain.places import place
from service.settings.groups import DropsPlace, EventsPlace, JobStore, PipelinesPlace, ResultsPlace
from service.settings.load import VARIABLES, Settings
from tests.emulator import ACCOUNT, REGION, Emulator
from tests.infra.deployed import (
    CALLS_BACK,
    HOST,
    Deployment,
    Stack,
    deployed,
    put_pipelines,
    settled,
    written,
)
from tests.premises import eventually
from tests.standin import script, totals

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def stack(emulator: Emulator) -> Stack:
    return deployed(emulator, **CALLS_BACK)


@pytest.mark.anyio
async def test_an_object_in_its_bucket_becomes_a_message_in_a_filtered_queue(stack: Stack, standin: str) -> None:
    deployment = Deployment(stack, standin)
    wanted = deployment.subscribed({"outcome": ["complete"], "recording": [{"prefix": "calls/"}]})
    unwanted = deployment.subscribed({"outcome": ["failed"]})
    deployment.put("calls/first call+1 ü.wav", "Good morning.", "How can I help?")
    async with deployment.serving():
        (event,) = await deployment.heard(wanted)
        assert event["subject"] == f"s3://{stack.outputs['RecordingsBucketName']}/calls/first call+1 ü.wav"
        assert sorted(event["data"]["answers"]) == ["mood", "next-steps", "summary"]
        queue = stack.emulator.client("sqs")
        await eventually(lambda: not _messages(queue, stack.outputs["RecordingsQueueUrl"]))
    assert "Messages" not in queue.receive_message(QueueUrl=unwanted)
    bucket, _, key = event["data"]["files"]["result"].removeprefix("s3://").partition("/")
    assert bucket == stack.outputs["ResultsBucketName"]
    stored = stack.emulator.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert json.loads(stored)["job_id"] == event["data"]["job_id"]
    assert totals(standin)["transcripts_billed"] == 1


def _messages(queue: Any, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(
        int(value) for value in queue.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()
    )


@pytest.mark.anyio
async def test_an_existing_bucket_is_adopted_by_the_prefix_that_is_named(emulator: Emulator, standin: str) -> None:
    bucket, s3 = emulator.name("theirs"), emulator.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    stack = deployed(emulator, **CALLS_BACK, ExistingRecordingsBucket=bucket, ExistingRecordingsPrefix="calls/")
    deployment = Deployment(stack, standin)
    heard = deployment.subscribed({"outcome": ["complete"]})
    for key in ("other/2.wav", "calls/1.wav"):
        s3.put_object(Bucket=bucket, Key=key, Body=script("Good morning."))
    async with deployment.serving():
        (event,) = await deployment.heard(heard)
    assert event["subject"] == f"s3://{bucket}/calls/1.wav"
    assert totals(standin)["transcripts_billed"] == 1
    assert "RecordingsBucket" not in stack.resources


def test_the_table_is_what_the_service_expects(stack: Stack) -> None:
    table = stack.emulator.client("dynamodb").describe_table(TableName=stack.outputs["JobsTableName"])["Table"]
    wanted: Mapping[str, Any] = definition(table["TableName"])
    assert table["BillingModeSummary"]["BillingMode"] == wanted["BillingMode"]
    assert table["KeySchema"] == wanted["KeySchema"]
    assert {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]} == KEY_TYPES
    found = {each["IndexName"]: each for each in table["GlobalSecondaryIndexes"]}
    assert set(found) == {index.name for index in INDEXES}
    for index in wanted["GlobalSecondaryIndexes"]:
        made = found[index["IndexName"]]
        assert (made["KeySchema"], made["Projection"]) == (index["KeySchema"], index["Projection"])


class TestTheTask:
    def test_it_is_given_settings_that_there_are(self, stack: Stack) -> None:
        ours = {name for name in stack.environment if name.startswith(("AFTERWORD_", "ASSEMBLYAI_"))}
        assert ours <= {variable.name for variable in VARIABLES}
        settings = Settings.load(stack.environment)
        assert settings.warnings == ()
        assert settings.deployment.name == stack.name
        assert settings.callbacks.public_url == f"https://{HOST}"
        assert settings.deployment.log_format == "json"

    def test_there_are_as_many_as_are_asked_for(self) -> None:
        # The emulator takes no number but a plain one.
        resources = written()["Resources"]
        wanted = {"!Ref": "Replicas"}
        assert resources["Service"]["Properties"]["DesiredCount"] == {"!If": ["RunsOne", 1, wanted]}
        assert resources["ScalableReplicas"]["Properties"]["MinCapacity"] == wanted

    def test_a_deployment_that_does_not_come_up_is_taken_back(self) -> None:
        deployment = written()["Resources"]["Service"]["Properties"]["DeploymentConfiguration"]
        assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
        assert deployment["MinimumHealthyPercent"] >= 100

    def test_it_may_stop_in_its_own_time(self, stack: Stack) -> None:
        grace = Settings.load(stack.environment).work.shutdown_grace
        assert grace + 5 <= stack.container["stopTimeout"] <= 120, "Fargate gives two minutes at most"

    def test_it_keeps_to_itself(self, stack: Stack) -> None:
        container = stack.container
        assert container["readonlyRootFilesystem"]
        assert container["user"].split(":")[0] not in {"", "0", "root"}
        assert container["linuxParameters"]["capabilities"]["drop"] == ["ALL"]
        assert Settings.load(stack.environment).ops.host == "127.0.0.1"

    def test_its_health_is_that_of_the_process_alone(self, stack: Stack) -> None:
        balancing = stack.emulator.client("elbv2")
        (targets,) = balancing.describe_target_groups(TargetGroupArns=[stack.resources["Targets"]])["TargetGroups"]
        assert targets["HealthCheckPath"] == "/healthz"
        assert "/healthz" in stack.container["healthCheck"]["command"][-1]

    def test_another_pipelines_file_is_another_task(self, emulator: Emulator) -> None:
        stack = deployed(emulator)
        before = stack.task()["taskDefinitionArn"]
        bucket = f"{stack.name}-deployments"
        put_pipelines(stack.emulator, bucket, "second")
        formation = stack.emulator.client("cloudformation")
        (found,) = formation.describe_stacks(StackName=stack.name)["Stacks"]
        kept = [each["ParameterKey"] for each in found["Parameters"] if each["ParameterKey"] != "PipelinesUri"]
        formation.update_stack(
            StackName=stack.name,
            UsePreviousTemplate=True,
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[
                {"ParameterKey": "PipelinesUri", "ParameterValue": f"s3://{bucket}/second/pipelines.toml"},
                *({"ParameterKey": key, "UsePreviousValue": True} for key in kept),
            ],
        )
        settled(stack.emulator, stack.name, "UPDATE_COMPLETE")
        assert stack.task()["taskDefinitionArn"] != before
        assert stack.environment["AFTERWORD_PIPELINES"].endswith("/second/pipelines.toml")


class TestTheBalancer:
    def test_it_forwards_posts_to_callbacks_and_nothing_else(self, stack: Stack) -> None:
        balancing = stack.emulator.client("elbv2")
        (listener,) = balancing.describe_listeners(LoadBalancerArn=stack.resources["Balancer"])["Listeners"]
        assert (listener["Protocol"], listener["Port"]) == ("HTTPS", 443)
        (otherwise,) = listener["DefaultActions"]
        assert otherwise["FixedResponseConfig"]["StatusCode"] == "404"
        rules = balancing.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
        (rule,) = [each for each in rules if each["Priority"] != "default"]
        asked = {each["Field"]: each for each in rule["Conditions"]}
        assert asked["path-pattern"]["PathPatternConfig"]["Values"] == ["/callbacks/*"]
        assert asked["http-request-method"]["HttpRequestMethodConfig"]["Values"] == ["POST"]

    def test_without_a_public_host_there_is_none_and_no_secret_either(self, emulator: Emulator) -> None:
        stack = deployed(emulator)
        assert not {"Balancer", "Listener", "Targets", "BalancerGroup", "WebhookSecrets"} & set(stack.resources)
        assert Settings.load(stack.environment).callbacks.public_url is None
        group = _group(stack, "TaskGroup")
        assert group["IpPermissions"] == []

    def test_it_may_be_the_vendors_alone(self, emulator: Emulator) -> None:
        stack = deployed(emulator, **CALLS_BACK, CallbacksFrom="vendor", VendorRegion="eu")
        (way,) = _group(stack, "BalancerGroup")["IpPermissions"]
        assert way["IpRanges"][0]["CidrIp"] == "54.220.25.36/32"

    def test_a_public_host_without_a_certificate_is_refused(self, emulator: Emulator) -> None:
        with pytest.raises(ClientError, match="CertificateArn"):
            deployed(emulator, PublicHost=HOST)


def _group(stack: Stack, name: str) -> Mapping[str, Any]:
    (group,) = stack.emulator.client("ec2").describe_security_groups(GroupIds=[stack.resources[name]])["SecurityGroups"]
    found: Mapping[str, Any] = group
    return found


class TestWhoGetsIn:
    def test_only_its_bucket_may_write_into_the_queue_and_only_this_account(self, stack: Stack) -> None:
        queue = stack.emulator.client("sqs")
        url = stack.outputs["RecordingsQueueUrl"]
        attributes = queue.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        allowed = [each for each in json.loads(attributes["Policy"])["Statement"] if each["Effect"] == "Allow"]
        (statement,) = allowed
        bucket = f"arn:aws:s3:::{stack.outputs['RecordingsBucketName']}"
        assert statement["Condition"]["ArnEquals"]["aws:SourceArn"] == bucket
        assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT
        assert json.loads(attributes["RedrivePolicy"])["maxReceiveCount"] in {10, "10"}
        assert attributes["MessageRetentionPeriod"] == "1209600"

    def test_subscribers_subscribe_and_read_what_events_name(self, emulator: Emulator) -> None:
        stack = deployed(emulator, SubscriberAccounts="111111111111,222222222222")
        policy = emulator.client("s3").get_bucket_policy(Bucket=stack.outputs["ResultsBucketName"])["Policy"]
        (reading,) = [each for each in json.loads(policy)["Statement"] if each["Effect"] == "Allow"]
        assert reading["Action"] == "s3:GetObject"
        assert reading["Principal"]["AWS"] == ["111111111111", "222222222222"]
        patterns = [each.rpartition(":::")[2].partition("/")[2] for each in reading["Resource"]]
        files = place("calls", "calls/1.wav", JobId(f"job_{'0' * 32}"))
        named = [files.result(1), files.result(2), files.transcript_json, files.transcript_txt, files.captions("srt")]
        assert all(any(fnmatchcase(key, pattern) for pattern in patterns) for key in named)
        assert not any(fnmatchcase(files.answer("summary", 1), pattern) for pattern in patterns)
        topic = emulator.client("sns").get_topic_attributes(TopicArn=stack.outputs["EventsTopicArn"])["Attributes"]
        (subscribing,) = [each for each in json.loads(topic["Policy"])["Statement"] if each["Effect"] == "Allow"]
        assert subscribing["Action"] == "sns:Subscribe"

    def test_everything_is_encrypted_with_a_key_that_is_given(self, emulator: Emulator) -> None:
        stack = deployed(emulator, **CALLS_BACK, KmsKeyArn=KEY, OpsCidr="10.0.0.0/16")
        for role, policy in (("TaskRole", "service"), ("ExecutionRole", "start")):
            assert [each for each in stack.policy(role, policy)["Statement"] if each["Resource"] == KEY]
        keeping = {"Bucket", "Queue", "Table", "Topic", "Secret", "LogGroup"}
        for name, resource in written()["Resources"].items():
            if resource["Type"].rpartition("::")[2] in keeping:
                assert "KmsKeyArn" in json.dumps(resource["Properties"]), name

    def test_a_permissions_boundary_bounds_every_role(self) -> None:
        roles = [each for each in written()["Resources"].values() if each["Type"] == "AWS::IAM::Role"]
        assert len(roles) == 2
        for role in roles:
            assert role["Properties"]["PermissionsBoundary"]["!If"][1] == {"!Ref": "PermissionsBoundaryArn"}

    def test_the_private_listener_is_reached_with_a_token_only(self, emulator: Emulator) -> None:
        stack = deployed(emulator, OpsCidr="10.0.0.0/16")
        ops = Settings.load(stack.environment).ops
        assert ops.host == "0.0.0.0"
        assert ops.token is not None
        (way,) = _group(stack, "TaskGroup")["IpPermissions"]
        assert (way["FromPort"], way["IpRanges"][0]["CidrIp"]) == (9090, "10.0.0.0/16")


def test_a_fifo_topic_is_one_that_the_service_takes(emulator: Emulator) -> None:
    stack = deployed(emulator, TopicType="fifo")
    assert stack.outputs["EventsTopicArn"].endswith(".fifo")
    assert Settings.load(stack.environment).events.place.arn == stack.outputs["EventsTopicArn"]  # type: ignore[union-attr]


def test_operators_paste_what_the_commands_need(stack: Stack) -> None:
    lines = [line.partition("=") for line in stack.outputs["OperatorEnv"].splitlines()]
    pasted = {name: value for name, _, value in lines}
    needed = (PipelinesPlace, DropsPlace, JobStore, ResultsPlace, EventsPlace)
    settings, running = Settings.load(pasted, None, needed), Settings.load(stack.environment)
    for group in needed:
        assert settings.group(group).place == running.group(group).place  # type: ignore[attr-defined]
    assert settings.deployment.name == running.deployment.name


class TestWhatIsKept:
    def test_data_outlives_the_stack(self) -> None:
        for name in ("RecordingsBucket", "ResultsBucket", "JobsTable"):
            resource = written()["Resources"][name]
            assert resource["DeletionPolicy"].startswith("Retain"), name
            assert resource["UpdateReplacePolicy"] == "Retain", name
        table = written()["Resources"]["JobsTable"]["Properties"]
        assert table["DeletionProtectionEnabled"]
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]

    def test_buckets_are_private_versioned_and_told_to_forget(self, stack: Stack) -> None:
        s3 = stack.emulator.client("s3")
        for output in ("RecordingsBucketName", "ResultsBucketName"):
            bucket = stack.outputs[output]
            assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
            assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
            assert s3.get_bucket_encryption(Bucket=bucket)
        for name in ("RecordingsBucket", "ResultsBucket"):
            rules = written()["Resources"][name]["Properties"]["LifecycleConfiguration"]["Rules"]
            assert {key for rule in rules for key in rule} >= {
                "AbortIncompleteMultipartUpload",
                "NoncurrentVersionExpiration",
            }

    def test_finished_jobs_are_forgotten_by_the_attribute_that_the_service_writes(self) -> None:
        # The emulator passes over a time to live that comes from a template.
        table = written()["Resources"]["JobsTable"]["Properties"]
        assert table["TimeToLiveSpecification"] == {"AttributeName": EXPIRES_AT, "Enabled": True}
