"""A whole service on AWS's engines: the premises of `tests.premises`, in the emulator instead of in folders."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from service.adapters.jobs.dynamodb_schema import definition
from tests.emulator import ACCOUNT, REGION, Emulator
from tests.premises import Premises
from tests.standin import script

VISIBLE_AGAIN = "5"
"""Seconds after which a message that nobody finished is delivered again."""


class Cloud(Premises):
    """Bucket, queue, table and topic of its own in the emulator, and a subscriber's queue that hears every event."""

    def __init__(
        self,
        folder: Path,
        standin: str,
        emulator: Emulator,
        *,
        name: str = "calls",
        versioned: bool = False,
        fifo: bool = False,
        callbacks: bool = True,
        **more: str,
    ) -> None:
        """`more` are settings, as for Premises; an engine that is named there takes the place of AWS's."""
        self.emulator = emulator
        self.recordings, self.results = emulator.name(f"{name}-in"), emulator.name(f"{name}-out")
        self.table, self.queue = emulator.name(name), emulator.name(f"{name}-drops")
        self.topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:{emulator.name(name)}{'.fifo' if fifo else ''}"
        self._heard: dict[str, dict[str, Any]] = {}
        self._deliveries: list[bytes] = []
        self._make(versioned=versioned, fifo=fifo)
        places = {
            "AFTERWORD_DROPS": self.queue_url,
            "AFTERWORD_JOBS": f"dynamodb://{self.table}",
            "AFTERWORD_RESULTS": f"s3://{self.results}/results",
            "AFTERWORD_EVENTS": self.topic,
        }
        super().__init__(folder, standin, callbacks=callbacks, **{**places, **more})

    def _make(self, *, versioned: bool, fifo: bool) -> None:
        made = self.emulator.client
        for bucket in (self.recordings, self.results):
            made("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        if versioned:
            made("s3").put_bucket_versioning(Bucket=self.recordings, VersioningConfiguration={"Status": "Enabled"})
        made("dynamodb").create_table(**definition(self.table))
        self.dead_letters = made("sqs").create_queue(QueueName=f"{self.queue}-dead")["QueueUrl"]
        redrive = {"deadLetterTargetArn": _queue_arn(self.dead_letters), "maxReceiveCount": 3}
        self.queue_url = made("sqs").create_queue(
            QueueName=self.queue, Attributes={"VisibilityTimeout": VISIBLE_AGAIN, "RedrivePolicy": json.dumps(redrive)}
        )["QueueUrl"]
        made("s3").put_bucket_notification_configuration(
            Bucket=self.recordings,
            NotificationConfiguration={
                "QueueConfigurations": [{"QueueArn": _queue_arn(self.queue_url), "Events": ["s3:ObjectCreated:*"]}]
            },
        )
        ends = ".fifo" if fifo else ""
        attributes = {"FifoTopic": "true"} if fifo else {}
        made("sns").create_topic(Name=self.topic.rpartition(":")[2], Attributes=attributes)
        attributes = {"FifoQueue": "true"} if fifo else {}
        self.subscriber = made("sqs").create_queue(QueueName=f"{self.queue}-heard{ends}", Attributes=attributes)[
            "QueueUrl"
        ]
        made("sns").subscribe(
            TopicArn=self.topic,
            Protocol="sqs",
            Endpoint=_queue_arn(self.subscriber),
            Attributes={"RawMessageDelivery": "true"},
        )

    def put(self, key: str, *texts: str, metadata: Mapping[str, str] | None = None) -> str:
        """An object in which these texts are spoken, by two speakers in turn; its version id, or an empty text."""
        answer = self.emulator.client("s3").put_object(
            Bucket=self.recordings, Key=key, Body=script(*texts), Metadata=dict(metadata or {})
        )
        return str(answer.get("VersionId", ""))

    def drop(self, name: str, *texts: str) -> Path:
        self.put(name, *texts)
        return Path(name)

    def events(self) -> list[dict[str, Any]]:
        """What the subscriber has heard so far, each event once; `deliveries` has every one."""
        while (
            found := self.emulator.client("sqs")
            .receive_message(QueueUrl=self.subscriber, MaxNumberOfMessages=10)
            .get("Messages")
        ):
            for message in found:
                self._deliveries.append(message["Body"].encode())
                event = json.loads(message["Body"])
                self._heard[event["id"]] = event
                with suppress(Exception):
                    self.emulator.client("sqs").delete_message(
                        QueueUrl=self.subscriber, ReceiptHandle=message["ReceiptHandle"]
                    )
        return list(self._heard.values())

    @property
    def deliveries(self) -> Sequence[bytes]:
        """Every body that was delivered, in order."""
        return self._deliveries

    def keys(self, part: str) -> list[str]:
        pages = self.emulator.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.results)
        return sorted(each["Key"] for page in pages for each in page.get("Contents", ()) if part in each["Key"])

    def stored(self, key: str) -> bytes:
        return bytes(self.emulator.client("s3").get_object(Bucket=self.results, Key=key)["Body"].read())


def _queue_arn(url: str) -> str:
    account, name = urlsplit(url).path.strip("/").split("/")
    return f"arn:aws:sqs:{REGION}:{account}:{name}"
