"""Topics with queues behind them, as subscribers have them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.emulator import Emulator

EMPTY_FOR = 2
"""Answers without a message before a queue counts as empty; the emulator fans out before a publish is answered."""


@dataclass(frozen=True)
class Queue:
    """A subscriber's queue."""

    emulator: Emulator
    url: str

    @property
    def arn(self) -> str:
        asked = self.emulator.client("sqs").get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        return str(asked["Attributes"]["QueueArn"])

    def messages(self) -> list[Mapping[str, Any]]:
        """All that are there, taken out."""
        sqs = self.emulator.client("sqs")
        found: list[Mapping[str, Any]] = []
        empty = 0
        while empty < EMPTY_FOR:
            answer = sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["All"],
            )
            batch = answer.get("Messages", [])
            empty = 0 if batch else empty + 1
            found += batch
            if batch:
                entries = [
                    {"Id": str(at), "ReceiptHandle": message["ReceiptHandle"]} for at, message in enumerate(batch)
                ]
                sqs.delete_message_batch(QueueUrl=self.url, Entries=entries)
        return found


@dataclass(frozen=True)
class Topic:
    """A topic of the emulator's."""

    emulator: Emulator
    arn: str

    @classmethod
    def made(cls, emulator: Emulator, *, fifo: bool = False) -> "Topic":
        attributes = {"FifoTopic": "true"} if fifo else {}
        name = emulator.name("topic") + ".fifo" * fifo
        return cls(emulator, emulator.client("sns").create_topic(Name=name, Attributes=attributes)["TopicArn"])

    def subscribed(self, attributes: Mapping[str, str] | None = None) -> Queue:
        """A new queue that gets what the subscription's attributes let through."""
        fifo = self.arn.endswith(".fifo")
        name = self.emulator.name("subscriber") + ".fifo" * fifo
        kind = {"FifoQueue": "true"} if fifo else {}
        made = self.emulator.client("sqs").create_queue(QueueName=name, Attributes=kind)
        queue = Queue(self.emulator, made["QueueUrl"])
        self.emulator.client("sns").subscribe(
            TopicArn=self.arn, Protocol="sqs", Endpoint=queue.arn, Attributes=dict(attributes or {})
        )
        return queue

    def filtered(self, policy: Mapping[str, object], scope: str = "MessageAttributes") -> Queue:
        """A new queue for what the filter policy lets through."""
        return self.subscribed(
            {"RawMessageDelivery": "true", "FilterPolicy": json.dumps(policy), "FilterPolicyScope": scope}
        )
