"""Consume a queue whose subscription has raw delivery on: the message is the event.

python sqs_raw.py --queue https://sqs.eu-west-1.amazonaws.com/123456789012/angry-calls --table angry-calls-handled
"""
# ruff: noqa: INP001

import sys

import polling

if __name__ == "__main__":
    sys.exit(1 if polling.run(None, "Consume a queue with raw delivery.", str) else 0)
