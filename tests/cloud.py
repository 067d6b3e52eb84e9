"""A whole service on AWS's engines: the premises of `tests.premises`, in the emulator instead of in folders."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from service.adapters.jobs.dynamodb_schema import EXPIRES_AT, definition
from service.domain.identity import job_id
from service.domain.objects import ObjectPlace, recording
from service.serve import Addresses
from tests.emulator import ACCOUNT, REGION, Emulator
from tests.premises import Premises
from tests.standin import script

VISIBLE_AGAIN = "5"
"""Seconds after which a message that nobody finished is delivered again."""
NO_NEWS = json.dumps({"Event": "s3:TestEvent"})
POLL_ENDS = 0.1


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
        bucket: str | None = None,
        **more: str,
    ) -> None:
        """`more` are settings, as for Premises; an engine that is named there takes the place of AWS's.

        `bucket` is one that is there already, for recordings and results; whoever named it has it announced.
        """
        self.emulator = emulator
        self.recordings, self.results = bucket or emulator.name(f"{name}-in"), bucket or emulator.name(f"{name}-out")
        self.table, self.queue = emulator.name(name), emulator.name(f"{name}-drops")
        self.topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:{emulator.name(name)}{'.fifo' if fifo else ''}"
        self._heard: dict[str, dict[str, Any]] = {}
        self._deliveries: list[bytes] = []
        self._make(fifo=fifo)
        if bucket is None:
            self._make_buckets(versioned=versioned)
        places = {
            "AFTERWORD_DROPS": self.queue_url,
            "AFTERWORD_JOBS": f"dynamodb://{self.table}",
            "AFTERWORD_RESULTS": f"s3://{self.results}/results",
            "AFTERWORD_EVENTS": self.topic,
        }
        super().__init__(folder, standin, callbacks=callbacks, **{**places, **more})

    def _make_buckets(self, *, versioned: bool) -> None:
        s3 = self.emulator.client("s3")
        for bucket in (self.recordings, self.results):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        if versioned:
            s3.put_bucket_versioning(Bucket=self.recordings, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_notification_configuration(
            Bucket=self.recordings,
            NotificationConfiguration={
                "QueueConfigurations": [{"QueueArn": queue_arn(self.queue_url), "Events": ["s3:ObjectCreated:*"]}]
            },
        )

    def _make(self, *, fifo: bool) -> None:
        made = self.emulator.client
        made("dynamodb").create_table(**definition(self.table))
        made("dynamodb").update_time_to_live(
            TableName=self.table, TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES_AT}
        )
        self.dead_letters = made("sqs").create_queue(QueueName=f"{self.queue}-dead")["QueueUrl"]
        redrive = {"deadLetterTargetArn": queue_arn(self.dead_letters), "maxReceiveCount": 3}
        self.queue_url = made("sqs").create_queue(
            QueueName=self.queue, Attributes={"VisibilityTimeout": VISIBLE_AGAIN, "RedrivePolicy": json.dumps(redrive)}
        )["QueueUrl"]
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
            Endpoint=queue_arn(self.subscriber),
            Attributes={"RawMessageDelivery": "true"},
        )

    def put(self, key: str, *texts: str, metadata: Mapping[str, str] | None = None) -> str:
        """An object in which these texts are spoken, by two speakers in turn; the id of its job."""
        answer = self.emulator.client("s3").put_object(
            Bucket=self.recordings, Key=key, Body=script(*texts), Metadata=dict(metadata or {})
        )
        place = ObjectPlace(bucket=self.recordings, key=key)
        put = recording(place, etag=answer["ETag"], size=None, version=None, seen_at=0, metadata={})
        return job_id(self.environment.get("AFTERWORD_NAME", "afterword"), put)

    def delete(self, key: str) -> None:
        self.emulator.client("s3").delete_object(Bucket=self.recordings, Key=key)

    def drop(self, name: str, *texts: str) -> Path:
        if not self._on_aws("DROPS", "http"):
            return super().drop(name, *texts)
        self.put(name, *texts)
        return Path(name)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Addresses]:
        ending = asyncio.Event()
        bringing = asyncio.create_task(self._bring_no_news(ending))
        try:
            async with super().serving() as addresses:
                try:
                    yield addresses
                finally:
                    ending.set()
        finally:
            bringing.cancel()

    async def _bring_no_news(self, ending: asyncio.Event) -> None:
        """End the poll that is out when the service stops: it lasts for seconds, and no test is about them."""
        await ending.wait()
        while True:
            await asyncio.sleep(POLL_ENDS)
            self.send(NO_NEWS)

    def send(self, *bodies: str) -> None:
        """These messages into the queue where recordings are announced."""
        for first in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[first : first + 10])]
            self.emulator.client("sqs").send_message_batch(QueueUrl=self.queue_url, Entries=entries)

    def waiting(self) -> tuple[int, int]:
        """Messages that can be received now, and those that somebody has in hand."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.emulator.client("sqs").get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)
        there, in_hand = (int(told["Attributes"][name]) for name in names)
        return there, in_hand

    def items(self) -> list[dict[str, Any]]:
        """The jobs as the table holds them."""
        pages = self.emulator.client("dynamodb").get_paginator("scan").paginate(TableName=self.table)
        return [item for page in pages for item in page["Items"] if item["sk"]["S"] == "job"]

    def forget(self) -> int:
        """Delete everything that the table holds, as time to live would in the end; how many were jobs."""
        jobs = len(self.items())
        dynamodb = self.emulator.client("dynamodb")
        for page in dynamodb.get_paginator("scan").paginate(TableName=self.table):
            for item in page["Items"]:
                dynamodb.delete_item(TableName=self.table, Key={"pk": item["pk"], "sk": item["sk"]})
        return jobs

    def _on_aws(self, what: str, scheme: str) -> bool:
        return self.environment[f"AFTERWORD_{what}"].startswith(scheme)

    def events(self) -> list[dict[str, Any]]:
        """What the subscriber has heard so far, each event once; `deliveries` has every one."""
        if not self._on_aws("EVENTS", "arn:"):
            return super().events()
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
        if not self._on_aws("RESULTS", "s3://"):
            return super().keys(part)
        pages = self.emulator.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.results)
        return sorted(each["Key"] for page in pages for each in page.get("Contents", ()) if part in each["Key"])

    def stored(self, key: str) -> bytes:
        if not self._on_aws("RESULTS", "s3://"):
            return super().stored(key)
        return bytes(self.emulator.client("s3").get_object(Bucket=self.results, Key=key)["Body"].read())

    def words(self, data: Mapping[str, Any]) -> str:
        """The transcript of an event's job."""
        [key] = self.keys(f"{data['job_id']}/transcript.txt")
        return self.stored(key).decode()


def queue_arn(url: str) -> str:
    account, name = urlsplit(url).path.strip("/").split("/")
    return f"arn:aws:sqs:{REGION}:{account}:{name}"
