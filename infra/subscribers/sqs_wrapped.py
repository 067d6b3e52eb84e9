"""Consume a queue whose subscription has raw delivery off: the event is inside what SNS says of it.

python sqs_wrapped.py --queue https://sqs.eu-west-1.amazonaws.com/123456789012/angry-calls --table angry-calls-handled
"""
# ruff: noqa: INP001

import sys

import polling
from handling import unwrapped

if __name__ == "__main__":
    sys.exit(1 if polling.run(None, "Consume a queue without raw delivery.", unwrapped) else 0)
