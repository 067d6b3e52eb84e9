"""A Lambda function for both ways in: subscribed to the topic itself, or fed from a queue (raw delivery on or off).

Handler `lambda_function.lambda_handler`; TABLE names the table that remembers what was handled. On a queue's event
source mapping switch `ReportBatchItemFailures` on, so that one bad message does not bring the others back.
"""
# ruff: noqa: INP001, T201

import json
import os
from collections.abc import Mapping
from typing import Any

import boto3
from handling import handle, once, unwrapped
from ledger import Ledger


def lambda_handler(invocation: Mapping[str, Any], context: Any) -> Mapping[str, Any]:
    """The queue's messages that failed. For the topic itself it raises instead: Lambda then tries twice more."""
    lease = context.get_remaining_time_in_millis() / 1000
    ledger = Ledger(boto3.client("dynamodb"), os.environ["TABLE"], lease=lease)
    failed = []
    for record in invocation["Records"]:
        if "Sns" in record:
            if not once(record["Sns"]["Message"], ledger, handle):
                raise RuntimeError("another invocation is at this event")
            continue
        try:
            if once(text_of(record["body"]), ledger, handle):
                continue
        except Exception as error:  # noqa: BLE001  # one message must not stop the others
            print(f"message {record['messageId']} is left: {type(error).__name__}: {error}")
        failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def text_of(body: str) -> str:
    """The event in a queue's message, wrapped or not."""
    message = json.loads(body)
    return unwrapped(body) if isinstance(message, dict) and message.get("Type") == "Notification" else body
