# ruff: noqa: INP001  # a script, in no package
"""Deploys infra/afterword.yaml into the emulator, as README.md does into an account, and prints what it made.

    python infra/local/deploy.py PIPELINES.toml

AWS_ENDPOINT_URL names the emulator. What is there already stays as it is.
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

NAME = "afterword"
TEMPLATE = Path(__file__).parents[1] / "afterword.yaml"
WITHIN = 60.0
TEAM = "team"


def main(pipelines: Path) -> None:
    if "AWS_ENDPOINT_URL" not in os.environ:
        sys.exit("AWS_ENDPOINT_URL is not set: this is for the emulator alone, README.md deploys into an account")
    formation = boto3.client("cloudformation")
    try:
        formation.create_stack(
            StackName=NAME,
            TemplateBody=TEMPLATE.read_text(encoding="utf-8"),
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in _parameters(pipelines).items()
            ],
            Capabilities=["CAPABILITY_IAM"],
        )
    except formation.exceptions.AlreadyExistsException:
        print("it is deployed already")  # noqa: T201  # what a command says
    outputs = _settled(formation)
    # The emulator passes over a time to live that comes from a template.
    ttl = {"AttributeName": "expires_at", "Enabled": True}
    try:
        boto3.client("dynamodb").update_time_to_live(TableName=outputs["JobsTableName"], TimeToLiveSpecification=ttl)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
    _subscribe(outputs["EventsTopicArn"])
    for name, value in outputs.items():
        print(f"{name}: {value}")  # noqa: T201  # what a command says


def _parameters(pipelines: Path) -> dict[str, str]:
    network = boto3.client("ec2")
    vpc = network.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = network.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    account = boto3.client("sts").get_caller_identity()["Account"]
    region = boto3.session.Session().region_name
    return {
        "Name": NAME,
        "ImageUri": f"{account}.dkr.ecr.{region}.amazonaws.com/{NAME}:local",
        "PipelinesUri": _stored(pipelines),
        "ApiKeySecretArn": _secret(),
        "VpcId": vpc,
        "ServiceSubnetIds": ",".join(each["SubnetId"] for each in subnets[:2]),
        # The emulator knows no scaling.
        "Replicas": "1",
        "MaxReplicas": "1",
    }


def _stored(pipelines: Path) -> str:
    bucket, key = f"{NAME}-deployments", "local/pipelines.toml"
    s3 = boto3.client("s3")
    where = {"LocationConstraint": s3.meta.region_name}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    s3.put_object(Bucket=bucket, Key=key, Body=pipelines.read_bytes())
    return f"s3://{bucket}/{key}"


def _secret() -> str:
    secrets = boto3.client("secretsmanager")
    try:
        return str(secrets.create_secret(Name=f"{NAME}/assemblyai", SecretString="stand-in-key")["ARN"])
    except secrets.exceptions.ResourceExistsException:
        return str(secrets.describe_secret(SecretId=f"{NAME}/assemblyai")["ARN"])


def _settled(formation: Any) -> dict[str, str]:
    ends = time.monotonic() + WITHIN
    while time.monotonic() < ends:
        (stack,) = formation.describe_stacks(StackName=NAME)["Stacks"]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            break
        time.sleep(0.2)
    events = formation.describe_stack_events(StackName=NAME)["StackEvents"]
    reasons = {each["ResourceStatusReason"] for each in events if each.get("ResourceStatusReason")}
    sys.exit(f"the stack could not be made: {'; '.join(sorted(reasons))}")


def _subscribe(topic: str) -> None:
    """A queue that hears every event, for looking at."""
    queues = boto3.client("sqs")
    url = queues.create_queue(QueueName=TEAM)["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    raw = {"RawMessageDelivery": "true"}
    boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004  # itself and the file
        sys.exit("which pipelines file? python infra/local/deploy.py PIPELINES.toml")
    main(Path(sys.argv[1]))
