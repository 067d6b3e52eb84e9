"""The loop around a queue: receive, handle once, delete. A message that fails is left for the next time."""
# ruff: noqa: INP001, T201

import argparse
import sys
import time
from collections.abc import Callable, Sequence

import boto3
from handling import handle, once
from ledger import Ledger

WAIT = 20
"""Seconds that SQS holds an empty poll; as long as it can."""


def run(arguments: Sequence[str] | None, description: str, text_of: Callable[[str], str]) -> int:
    """Until --seconds are over, or with --until-empty until nothing is left. The number of messages that failed."""
    asked = _parser(description).parse_args(arguments)
    sqs, ends, failed = boto3.client("sqs"), time.monotonic() + asked.seconds, 0
    ledger = Ledger(boto3.client("dynamodb"), asked.table, lease=asked.lease)
    while (left := ends - time.monotonic()) > 0:
        wait = 0 if asked.until_empty else min(WAIT, int(left))
        answer = sqs.receive_message(QueueUrl=asked.queue, MaxNumberOfMessages=10, WaitTimeSeconds=wait)
        for message in answer.get("Messages", []):
            try:
                over = once(text_of(message["Body"]), ledger, handle)
            except Exception as error:  # noqa: BLE001  # one message must not stop the others
                print(f"message {message['MessageId']} is left: {type(error).__name__}: {error}", file=sys.stderr)
                failed += 1
                continue
            if over:
                sqs.delete_message(QueueUrl=asked.queue, ReceiptHandle=message["ReceiptHandle"])
        if asked.until_empty and not answer.get("Messages"):
            break
    return failed


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--queue", required=True, help="the queue's URL")
    parser.add_argument("--table", required=True, help="the table that remembers what was handled (table.yaml)")
    parser.add_argument("--lease", type=float, default=60, help="seconds for one event; at most the queue's visibility")
    parser.add_argument("--seconds", type=float, default=300, help="when to stop")
    parser.add_argument("--until-empty", action="store_true", help="stop as soon as nothing is left")
    return parser
