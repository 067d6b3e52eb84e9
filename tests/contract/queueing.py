"""A bucket whose notifications reach a queue, watched, and what to look at."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import pytest

from service.adapters.aws import Aws
from service.adapters.drops.hand import Pace
from service.adapters.drops.queue import QueueDrops
from service.domain.objects import ObjectPlace, ours
from service.domain.tally import NoTally
from tests.contract.dropping import Taken
from tests.emulator import REGION, Emulator

PACE = Pace(poll=0, first_pause=0.01, longest_pause=0.02, poison=0, denied=0, longest_denied=0, rematches=(0.0,))
RECEIVES = 3
"""Deliveries after which a message goes to the dead-letter queue."""


@dataclass
class Remembered:
    """What no pipeline took, in memory; raises what it was told to first."""

    documents: dict[str, bytes] = field(default_factory=dict)
    trouble: list[Exception] = field(default_factory=list)

    async def keep(self, uri: str, document: bytes) -> bool:
        self._fail()
        new = uri not in self.documents
        self.documents[uri] = document
        return new

    async def kept(self, after: str | None = None) -> tuple[Sequence[bytes], str | None]:
        self._fail()
        left = sorted(uri for uri in self.documents if after is None or uri > after)
        return [self.documents[uri] for uri in left[:1]], left[0] if left[1:] else None

    async def forget(self, uri: str) -> None:
        self._fail()
        self.documents.pop(uri, None)

    def _fail(self) -> None:
        if self.trouble:
            raise self.trouble.pop(0)


class Counting(NoTally):
    def __init__(self) -> None:
        self.counts: dict[str, float] = {}

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        self.counts[labels["result"]] = self.counts.get(labels["result"], 0) + amount


class Post:
    """A bucket, its queue and its dead-letter queue, all its own."""

    def __init__(self, emulator: Emulator, aws: Aws) -> None:
        self.aws = aws
        self.s3, self.sqs = emulator.client("s3"), emulator.client("sqs")
        self.bucket, self.queue = emulator.name("calls"), emulator.name("drops")
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.dead = self.sqs.create_queue(QueueName=f"{self.queue}-dead")["QueueUrl"]
        redrive = json.dumps({"deadLetterTargetArn": self.arn(self.dead), "maxReceiveCount": RECEIVES})
        self.url = self.sqs.create_queue(QueueName=self.queue, Attributes={"RedrivePolicy": redrive})["QueueUrl"]
        self.remembered = Remembered()
        self.tally = Counting()

    def arn(self, url: str) -> str:
        told = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(told["Attributes"]["QueueArn"])

    def notify(self) -> None:
        """From now on the bucket tells the queue itself."""
        target = {"QueueArn": self.arn(self.url), "Events": ["s3:ObjectCreated:*"]}
        self.s3.put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration={"QueueConfigurations": [target]}
        )

    def put(self, key: str, body: bytes = b"sound", **more: Any) -> str:
        """The new object's bare etag."""
        return str(self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)["ETag"]).strip('"')

    def send(self, *bodies: object) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body if isinstance(body, str) else json.dumps(body))

    def notice(self, key: str, /, **fields: object) -> dict[str, Any]:
        """S3's notification of an object, as the emulator would not send it."""
        told = {"bucket": {"name": self.bucket}, "object": {"key": quote_plus(key, safe="/")} | fields}
        return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": told}]}

    def waiting(self) -> tuple[int, int]:
        """Messages that can be received now, and those that somebody has in hand."""
        told = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"]
        return int(told["ApproximateNumberOfMessages"]), int(told["ApproximateNumberOfMessagesNotVisible"])

    def settled(self) -> bool:
        return self.waiting() == (0, 0)

    def given_up(self) -> list[str]:
        """The bodies in the dead-letter queue."""
        got = self.sqs.receive_message(QueueUrl=self.dead, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [each["Body"] for each in got.get("Messages", ())]

    def drops(self, **options: Any) -> QueueDrops:
        chosen: dict[str, Any] = {
            "wanted": lambda key, uri: not key.endswith(".txt"),
            "own": lambda place: ours(place, ObjectPlace(bucket=self.bucket, key="results/")),
            "unmatched": self.remembered,
            "clock": time.time,
            "tally": self.tally,
            "pace": PACE,
        }
        return QueueDrops(self.aws, self.url, **(chosen | options))

    @asynccontextmanager
    async def watching(self, taken: Callable[..., Any], **options: Any) -> AsyncIterator[None]:
        watch = asyncio.create_task(self.drops(**options).watch(taken))
        try:
            yield
            assert not watch.done()
        finally:
            watch.cancel()
            async with asyncio.timeout(30):
                with pytest.raises(asyncio.CancelledError):
                    await watch


@pytest.fixture
def post(emulator: Emulator, aws: Aws) -> Post:
    return Post(emulator, aws)


async def taken_of(post: Post, *bodies: object, **options: Any) -> Taken:
    """What is taken of these messages, all of which are deleted."""
    taken = Taken()
    post.send(*bodies)
    async with post.watching(taken, **options):
        async with asyncio.timeout(20):
            while not post.settled():
                await asyncio.sleep(0.01)
    assert post.given_up() == []
    return taken


def events(logs: Sequence[Mapping[str, object]], *names: str) -> list[Mapping[str, object]]:
    return [entry for entry in logs if entry["event"] in names]
