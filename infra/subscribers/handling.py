"""What this subscriber does with an event: put your own work into `handle`.

It is called once for each event, unless the process dies between the end of `handle` and the note that it is done:
then once more, with the same `id`. Where even that must not show, pass the `id` on (as an idempotency key).
"""
# ruff: noqa: INP001, T201

import json
from collections.abc import Callable, Mapping
from typing import Any

from ledger import Claim, Event, Ledger

Handle = Callable[[Event], None]

TYPES = {"afterword.recording.analyzed.v1", "afterword.recording.failed.v1"}


def handle(event: Event) -> None:
    """One line for each recording."""
    data = event["data"]
    line = {"key": data["recording"]["key"], "outcome": data["outcome"], "run": data["run"], "id": event["id"]}
    print(json.dumps(line), flush=True)


def once(text: str, ledger: Ledger, handle: Handle) -> bool:
    """Handle the event in `text` unless it is known; True: its message may be deleted.

    Raises ValueError for what is no event of ours, and whatever `handle` raises.
    """
    event = event_of(text)
    claim = ledger.claim(event)
    if claim is Claim.OURS:
        try:
            handle(event)
        except BaseException:
            ledger.release(event)
            raise
        ledger.done(event)
    return claim is not Claim.BUSY


def event_of(text: str) -> Event:
    """Of any v1 event; fields that are not known here are no reason to refuse it."""
    event = json.loads(text)
    if not isinstance(event, dict) or event.get("type") not in TYPES:
        raise ValueError("this is no v1 event of Afterword")
    return event


def unwrapped(text: str) -> str:
    """The event inside what SNS sends where raw delivery is off."""
    notification = json.loads(text)
    if not isinstance(notification, dict) or notification.get("Type") != "Notification":
        raise ValueError("this is no SNS notification; is raw delivery on?")
    message: str = notification["Message"]
    return message


def answers(event: Event, s3: Any) -> Mapping[str, Any]:
    """All answers by prompt. They are in the event unless it would have been too long; then in the result's file.

    Reading that takes `s3:GetObject` on the results bucket: nothing in an event is a signed link.
    """
    data = event["data"]
    if not data.get("answers_omitted"):
        found: Mapping[str, Any] = data["answers"]
        return found
    # s3://bucket/key with the key as it is: nothing in it is percent-encoded.
    bucket, _, key = data["files"]["result"].removeprefix("s3://").partition("/")
    result = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    told: Mapping[str, Any] = result["answers"]
    return told
