"""Trying the queue that drops come from, without taking a message out of it."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from service.adapters.aws import Aws, AwsError
from service.domain.errors import Problem

PLACE: Final = "AFTERWORD_DROPS"
TOO_MANY: Final = 11
"""More messages than SQS hands out at once: it says so once it has made sure that we may ask."""
FEWEST_RECEIVES: Final = 3
SHORTEST_RETENTION: Final = 86_400
"""Seconds; an outage of ours must not outlast it."""
MISSING: Final = ("NonExistentQueue", "QueueDoesNotExist")


async def problems(aws: Aws, url: str) -> tuple[Sequence[Problem], Sequence[Problem]]:
    """What must be mended before drops can come from the queue at `url`, and what is doubtful about it."""
    try:
        answer = await aws.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
    except AwsError as error:
        return [_unusable(error, "sqs:GetQueueAttributes")], []
    try:
        await aws.call("sqs", "receive_message", QueueUrl=url, MaxNumberOfMessages=TOO_MANY, VisibilityTimeout=0)
    except AwsError as error:
        if error.denied or error.status is None:
            return [_unusable(error, "sqs:ReceiveMessage")], []
    return [], _doubts(answer.get("Attributes", {}))


def _unusable(error: AwsError, action: str) -> Problem:
    if any(code in error.code for code in MISSING):
        cure = "name a queue that is there; the stack makes it, the service never does"
        return Problem(place=PLACE, what="there is no such queue", cure=cure)
    if error.denied:
        cure = f"allow {action}, sqs:DeleteMessage and sqs:ChangeMessageVisibility on it, and name the right AWS_REGION"
        return Problem(place=PLACE, what=f"the queue may not be read ({error})", cure=cure)
    return Problem(place=PLACE, what=f"the queue cannot be read ({error})", cure="mend the URL, or the way to AWS")


def _doubts(attributes: Mapping[str, str]) -> Sequence[Problem]:
    found: list[Problem] = []
    receives = _receives(attributes.get("RedrivePolicy"))
    if receives is None:
        what = "the queue has no redrive policy, so that a message nobody can read comes again and again"
        found.append(Problem(place=PLACE, what=what, cure="give it a dead-letter queue"))
    elif receives < FEWEST_RECEIVES:
        what = (
            f"the queue gives a message up after {receives} deliveries, so that a restart or two may cost a recording"
        )
        found.append(Problem(place=PLACE, what=what, cure=f"set maxReceiveCount to {FEWEST_RECEIVES} or more"))
    kept = attributes.get("MessageRetentionPeriod", "")
    if kept.isdecimal() and int(kept) < SHORTEST_RETENTION:
        what = f"the queue keeps messages for {kept} s only, so that a longer outage loses recordings"
        found.append(Problem(place=PLACE, what=what, cure="keep them for days: 14 is the most"))
    return found


def _receives(policy: str | None) -> int | None:
    try:
        return int(json.loads(policy or "")["maxReceiveCount"])
    except (ValueError, KeyError, TypeError):
        return None
