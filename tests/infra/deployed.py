"""The stack of infra/afterword.yaml in the emulator, and the service on what it made."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from service.serve import Addresses, running
from service.settings.load import Settings
from service.wiring import read_pipelines
from tests.emulator import ACCOUNT, REGION, Emulator
from tests.ports import free_port
from tests.premises import PIPELINES
from tests.standin import KEY, script

TEMPLATE = Path(__file__).parents[2] / "infra" / "afterword.yaml"
LARGEST_BODY = 51_200
"""Bytes (CloudFormation's documentation)."""
WITHIN = 30.0
HOST = "hooks.example.com"
CALLS_BACK = {"PublicHost": HOST, "CertificateArn": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/one"}
PROMPT = "Summarize the call.\n\n{{ transcript }}"
PIPELINES_IN_S3 = PIPELINES.replace(f'prompt = "{PROMPT.encode("unicode_escape").decode()}"', 'prompt_file = "p/s.md"')
"""One prompt in a file of its own beside the pipelines file."""


@dataclass(frozen=True)
class Stack:
    """What CloudFormation made."""

    emulator: Emulator
    name: str

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        (found,) = self.emulator.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}

    @cached_property
    def resources(self) -> Mapping[str, str]:
        """Physical ids by the template's own names."""
        made = self.emulator.client("cloudformation").describe_stack_resources(StackName=self.name)
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in made["StackResources"]}

    def task(self) -> Mapping[str, Any]:
        """The task definition that the service runs now."""
        ecs = self.emulator.client("ecs")
        (service,) = ecs.describe_services(cluster=self.name, services=[self.name])["services"]
        told: list[bytes] = []
        ecs.meta.events.register(
            "after-call.ecs.DescribeTaskDefinition", lambda http_response, **_: told.append(http_response.content)
        )
        ecs.describe_task_definition(taskDefinition=service["taskDefinition"])
        # The emulator keeps some of it as a template spells it, which botocore passes over.
        found: Mapping[str, Any] = _as_ecs(json.loads(told[-1])["taskDefinition"])
        return found

    @property
    def container(self) -> Mapping[str, Any]:
        (container,) = self.task()["containerDefinitions"]
        found: Mapping[str, Any] = container
        return found

    @property
    def environment(self) -> dict[str, str]:
        """What ECS gives the container, secrets included."""
        plain = {each["name"]: each["value"] for each in self.container["environment"]}
        secrets = self.emulator.client("secretsmanager")
        told = {
            each["name"]: secrets.get_secret_value(SecretId=each["valueFrom"])["SecretString"]
            for each in self.container["secrets"]
        }
        return {**plain, **told}

    def policy(self, role: str = "TaskRole", policy: str = "service") -> dict[str, Any]:
        """What a role of the stack may do."""
        iam = self.emulator.client("iam")
        answer = iam.get_role_policy(RoleName=self.resources[role], PolicyName=policy)["PolicyDocument"]
        return json.loads(answer) if isinstance(answer, str) else dict(answer)


class _Loader(yaml.SafeLoader):
    """Reads a template: `!Ref Name` as {"!Ref": "Name"}."""


def _function(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {f"!{suffix}": node.value}
    if isinstance(node, yaml.SequenceNode):
        return {f"!{suffix}": loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {f"!{suffix}": loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _function)


@cache
def written() -> dict[str, Any]:
    """The template as it is written, for what the emulator does not keep."""
    found: dict[str, Any] = yaml.load(TEMPLATE.read_text(encoding="utf-8"), _Loader)
    return found


def deployed(emulator: Emulator, **parameters: str) -> Stack:
    """The stack, once it is made; one replica and no scaling, which is what the emulator can do."""
    name = emulator.name("st")
    given = {**_surroundings(emulator, name), **parameters, "Name": name}
    if given.get("PublicHost"):
        given = {"PublicSubnetIds": given["ServiceSubnetIds"], **given}
    formation = emulator.client("cloudformation")
    body = TEMPLATE.read_text(encoding="utf-8")
    assert len(body.encode()) <= LARGEST_BODY, "the template is too large to be handed over without a bucket for it"
    formation.create_stack(
        StackName=name,
        TemplateBody=body,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    settled(emulator, name, "CREATE_COMPLETE")
    return Stack(emulator, name)


def settled(emulator: Emulator, name: str, status: str) -> None:
    """Wait for a stack to come to rest, and that in this status."""
    formation, ends = emulator.client("cloudformation"), time.monotonic() + WITHIN
    while True:
        (found,) = formation.describe_stacks(StackName=name)["Stacks"]
        if not found["StackStatus"].endswith("IN_PROGRESS"):
            break
        assert time.monotonic() < ends, "the stack does not come to rest"
        time.sleep(0.01)
    if found["StackStatus"] != status:
        events = formation.describe_stack_events(StackName=name)["StackEvents"]
        raise AssertionError([each.get("ResourceStatusReason") for each in events])


def _surroundings(emulator: Emulator, name: str) -> dict[str, str]:
    """What a user has before the stack: a network, an image, a key, and a pipelines file in a bucket."""
    network = emulator.client("ec2")
    vpc = network.describe_vpcs()["Vpcs"][0]["VpcId"]
    here = [{"Name": "vpc-id", "Values": [vpc]}]
    subnets = [each["SubnetId"] for each in network.describe_subnets(Filters=here)["Subnets"]][:2]
    table = network.describe_route_tables(Filters=here)["RouteTables"][0]["RouteTableId"]
    key = emulator.client("secretsmanager").create_secret(Name=f"{name}/assemblyai", SecretString=KEY)["ARN"]
    bucket = f"{name}-deployments"
    emulator.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    put_pipelines(emulator, bucket, "first")
    return {
        "ImageUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/afterword:1.0",
        "PipelinesUri": f"s3://{bucket}/first/pipelines.toml",
        "ApiKeySecretArn": key,
        "VpcId": vpc,
        "ServiceSubnetIds": ",".join(subnets),
        "RouteTableIds": table,
        "Replicas": "1",
        "MaxReplicas": "1",
    }


def _as_ecs(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_ecs(each) for each in value]
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: _as_ecs(each) for key, each in value.items()}
    return value


def put_pipelines(emulator: Emulator, bucket: str, revision: str, text: str = PIPELINES_IN_S3) -> None:
    s3 = emulator.client("s3")
    s3.put_object(Bucket=bucket, Key=f"{revision}/pipelines.toml", Body=text.encode())
    s3.put_object(Bucket=bucket, Key=f"{revision}/p/s.md", Body=PROMPT.encode())


class Deployment:
    """The service in this process, with the environment of the stack's container; and a team that hears of it."""

    def __init__(self, stack: Stack, standin: str, **more: str) -> None:
        self.stack = stack
        port = free_port()
        self.environment = {
            **stack.environment,
            "AFTERWORD_ASSEMBLYAI_URL": standin,
            "AFTERWORD_LLM_GATEWAY_URL": standin,
            "AFTERWORD_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "AFTERWORD_HOST": "127.0.0.1",
            "AFTERWORD_PORT": str(port),
            "AFTERWORD_OPS_PORT": str(free_port()),
            "AFTERWORD_SHUTDOWN_GRACE": "5",
            **more,
        }

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Addresses]:
        settings = Settings.load(self.environment)
        async with running(settings, read_pipelines(settings).pipelines) as (addresses, failed):
            yield addresses
            if failed.done():
                failed.result()
            # A poll that is out is waited for: what S3 says when notifications begin ends it.
            url = self.stack.outputs["RecordingsQueueUrl"]
            self.stack.emulator.client("sqs").send_message(QueueUrl=url, MessageBody='{"Event": "s3:TestEvent"}')

    def put(self, key: str, *texts: str) -> None:
        bucket = self.stack.outputs["RecordingsBucketName"]
        self.stack.emulator.client("s3").put_object(Bucket=bucket, Key=key, Body=script(*texts))

    def subscribed(self, policy: Mapping[str, object]) -> str:
        """The URL of a queue that hears the events that pass this filter."""
        emulator = self.stack.emulator
        name, topic = emulator.name("team"), self.stack.outputs["EventsTopicArn"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        url = str(emulator.client("sqs").create_queue(QueueName=name, Attributes={"Policy": document})["QueueUrl"])
        emulator.client("sns").subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"RawMessageDelivery": "true", "FilterPolicy": json.dumps(policy)},
        )
        return url

    async def heard(self, url: str, count: int = 1) -> list[dict[str, Any]]:
        """The events in that queue, once there are so many."""
        queue, found = self.stack.emulator.client("sqs"), list[dict[str, Any]]()
        async with asyncio.timeout(WITHIN):
            while len(found) < count:
                # In a thread, and waiting there: the service under test runs in this one.
                answer = await asyncio.to_thread(queue.receive_message, QueueUrl=url, WaitTimeSeconds=1)
                found += (json.loads(each["Body"]) for each in answer.get("Messages", ()))
        return found
