"""What AWS says for certain is not there: asked once at the start, by calls that the work itself makes anyway.

Only a plain answer counts. Whoever may not ask, or gets none, learns nothing here: the service starts and waits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from service.adapters.aws import Aws, AwsError
from service.domain.errors import Problem

WITHIN: Final = 10.0
"""Seconds that a start waits for all answers."""
TOO_MUCH: Final = "x" * (256 * 1024 + 1)
"""Longer than any message: SNS must refuse it, and says first whether the topic is there."""

Ask = Callable[[Any], object]


async def bucket(aws: Aws, name: str, prefix: str) -> Sequence[Problem]:
    """Whether results can have a place there."""

    def ask(client: Any) -> None:
        # A HEAD would say the same of a bucket that is not there as of a key.
        client.get_object(Bucket=name, Key=f"{prefix}readiness", Range="bytes=0-0")["Body"].close()

    gone = await _gone(aws, "s3", ask, ("NoSuchBucket",))
    return [_problem("AFTERWORD_RESULTS", f"there is no bucket {name}")] if gone else []


async def queue(aws: Aws, url: str) -> Sequence[Problem]:
    """Whether drops can come from there."""

    def ask(client: Any) -> None:
        client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])

    gone = await _gone(aws, "sqs", ask, ("NonExistentQueue", "QueueDoesNotExist"))
    return [_problem("AFTERWORD_DROPS", f"there is no queue {url}")] if gone else []


async def topic(aws: Aws, arn: str) -> Sequence[Problem]:
    """Whether events can go there. Nothing is published."""

    def ask(client: Any) -> None:
        client.publish(TopicArn=arn, Message=TOO_MUCH, MessageStructure="json")

    gone = await _gone(aws, "sns", ask, ("NotFound",), region=arn.split(":")[3])
    return [_problem("AFTERWORD_EVENTS", f"there is no topic {arn}")] if gone else []


async def all_of(asked: Sequence[Awaitable[Sequence[Problem]]]) -> Sequence[Problem]:
    """What any of them found, asked side by side."""
    return [each for found in await asyncio.gather(*asked) for each in found]


async def _gone(aws: Aws, service: str, ask: Ask, codes: Sequence[str], region: str | None = None) -> bool:
    try:
        async with asyncio.timeout(WITHIN):
            await aws.run(service, ask, region=region)
    except AwsError as error:
        return any(code in error.code for code in codes)
    except TimeoutError:
        return False
    return False


def _problem(place: str, what: str) -> Problem:
    cure = "deploy the stack that makes it, or name what it made (its outputs tell the names)"
    return Problem(place=place, what=f"{what} in this region and account", cure=cure)
