"""What has been handled: one item for each recording's job in a DynamoDB table of the subscriber's own.

Events come at least once and in any order. Of one event every delivery has the same `id`; of a `source` and
`data.job_id` the highest `data.run` counts. Both are one conditional write on one item, so two consumers of the same
queue never handle an event at the same time, and none handles what a later run has overtaken.
"""
# ruff: noqa: INP001

import enum
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

Event = Mapping[str, Any]


class Claim(enum.Enum):
    """What became of asking for an event."""

    OURS = "ours"
    KNOWN = "known"
    """Handled before, or overtaken by a later run: delete the message."""
    BUSY = "busy"
    """Another consumer is at it: leave the message, it comes again."""


class Ledger:
    """Over the table `name`, whose partition key is the string `job`; `lease` seconds are for handling one event."""

    def __init__(self, dynamodb: Any, name: str, *, lease: float = 60, clock: Callable[[], float] = time.time) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._lease = lease
        self._clock = clock

    def claim(self, event: Event) -> Claim:
        """OURS to exactly one consumer at a time; again if that one has not said `done` within the lease."""
        now = self._clock()
        try:
            self._update(
                event,
                "SET event_id = :id, highest_run = :run, claimed_until = :until, handled = :no",
                "attribute_not_exists(job) OR highest_run < :run"
                " OR (event_id = :id AND handled = :no AND claimed_until < :now)",
                {":now": number(now), ":until": number(now + self._lease), ":run": number(event["data"]["run"])},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            found = error.response["Item"]
            in_work = found["event_id"]["S"] == event["id"] and not found["handled"]["BOOL"]
            return Claim.BUSY if in_work else Claim.KNOWN
        return Claim.OURS

    def done(self, event: Event) -> None:
        """It is handled, and never will be again."""
        self._still_ours(event, "SET handled = :yes", {":yes": {"BOOL": True}})

    def release(self, event: Event) -> None:
        """It could not be handled: the next delivery may try at once."""
        self._still_ours(event, "SET claimed_until = :zero", {":zero": number(0)})

    def _still_ours(self, event: Event, change: str, values: Mapping[str, Any]) -> None:
        try:
            self._update(event, change, "event_id = :id AND handled = :no", values)
        except ClientError as error:
            # A later run has taken its place in the meantime.
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise

    def _update(self, event: Event, change: str, condition: str, values: Mapping[str, Any]) -> None:
        self._dynamodb.update_item(
            TableName=self._name,
            Key={"job": {"S": f"{event['source']} {event['data']['job_id']}"}},
            UpdateExpression=change,
            ConditionExpression=condition,
            ExpressionAttributeValues={":id": {"S": event["id"]}, ":no": {"BOOL": False}, **values},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )


def number(value: float) -> Mapping[str, str]:
    return {"N": str(value)}
