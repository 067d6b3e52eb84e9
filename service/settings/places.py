"""Where things are: on this machine or in AWS, as typed values, and how each is read from its text.

Every reader raises Bad. Paths are not yet absolute: the caller knows what they are relative to.
"""

import os.path
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.domain.objects import BUCKET, ObjectPlace
from service.domain.spelling import shown
from service.settings.values import Bad, url

LONGEST_PREFIX: Final = 200
"""Bytes of a results prefix; what S3 allows for a key must do for the recording's own key too."""

TABLE: Final = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
TOPIC: Final = re.compile(r"arn:[a-z0-9-]+:sns:[a-z0-9-]+:[0-9]{12}:([A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo)")


@dataclass(frozen=True, kw_only=True)
class Sqlite:
    """The embedded job store, at an absolute path."""

    path: Path


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder on this machine, as an absolute path."""

    path: Path


@dataclass(frozen=True, kw_only=True)
class JsonLines:
    """The file that events are appended to, as an absolute path."""

    path: Path


@dataclass(frozen=True, kw_only=True)
class TomlFile:
    """The pipelines file on this machine, as an absolute path."""

    path: Path


@dataclass(frozen=True, kw_only=True)
class DynamoTable:
    """A DynamoDB table, by its name."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A place in S3; the prefix is empty or ends in a slash."""

    name: str
    prefix: str


@dataclass(frozen=True, kw_only=True)
class Queue:
    """An SQS queue, by its URL."""

    url: str


@dataclass(frozen=True, kw_only=True)
class Topic:
    """An SNS topic, by its ARN."""

    arn: str


OnDisk = Sqlite | Folder | JsonLines | TomlFile


def path(text: str) -> Path:
    """Not yet absolute: the caller knows what it is relative to."""
    if "\0" in text:
        raise Bad("it holds a NUL character", "write a plain path")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise Bad("the home folder that it begins with is unknown", "write the whole path") from None


def absolute(base: Path, relative: Path) -> Path:
    return Path(os.path.normpath(base / relative))


def _object(text: str, example: str) -> tuple[str, str]:
    bucket, _, key = text[len("s3://") :].partition("/")
    if not BUCKET.fullmatch(bucket):
        raise Bad("it names no bucket that there can be", f"write it like {example}")
    return bucket, key


def pipelines(text: str) -> TomlFile | ObjectPlace:
    if text.lower().startswith("s3://"):
        example = "s3://my-bucket/afterword/pipelines.toml"
        bucket, key = _object(text, example)
        if not key or key.endswith("/"):
            raise Bad("it names no object", f"write it like {example}")
        return ObjectPlace(bucket=bucket, key=key)
    return TomlFile(path=path(text))


def drops(text: str) -> Folder | Queue:
    cure = "write a folder such as ./inbox, or the URL of the queue that gets the bucket's notifications"
    if text.lower().startswith(("https://", "http://")):
        return Queue(url=_queue(text, cure))
    if text.lower().startswith("arn:"):
        raise Bad("it is an ARN", "write the queue's URL, as `aws sqs get-queue-url` tells it")
    if "://" in text:
        raise Bad("it is a URL of no kind that is known", cure)
    return Folder(path=path(text))


def _queue(text: str, cure: str) -> str:
    parts = url(text, "https://sqs.eu-west-1.amazonaws.com/123456789012/afterword-recordings")
    if not re.fullmatch(r"/[0-9]{12}/[A-Za-z0-9_-]{1,80}(\.fifo)?", parts.path):
        raise Bad("it is no URL of an SQS queue", cure)
    return text


def jobs(text: str) -> Sqlite | DynamoTable:
    cure = (
        "write `sqlite:///afterword.db` (relative), `sqlite:////var/lib/afterword.db` (absolute) or `dynamodb://table`"
    )
    if text.lower().startswith("dynamodb://"):
        table = text[len("dynamodb://") :]
        if not TABLE.fullmatch(table):
            raise Bad(f"{shown(table)} is no table's name", "write `dynamodb://` and the name alone")
        return DynamoTable(name=table)
    scheme, _, rest = text.partition(":///")
    if scheme.lower() != "sqlite" or not rest.strip("/") or rest.endswith("/"):
        raise Bad("it is no job store that is known", cure)
    if rest == ":memory:":
        raise Bad("jobs in memory would be lost with the process", cure)
    return Sqlite(path=path(rest))


def results(text: str) -> Folder | Bucket:
    cure = "write a folder such as ./results, or s3://bucket/prefix"
    if text.lower().startswith("s3://"):
        bucket, prefix = _object(text, "s3://my-bucket/results")
        prefix = prefix.rstrip("/")
        if len(prefix.encode()) > LONGEST_PREFIX:
            raise Bad(f"its prefix is longer than {LONGEST_PREFIX} bytes", "write a shorter one")
        return Bucket(name=bucket, prefix=f"{prefix}/" if prefix else "")
    if "://" in text:
        raise Bad("it is a URL of no kind that is known", cure)
    return Folder(path=path(text))


def events(text: str) -> JsonLines | Topic:
    cure = "write a file such as ./events.jsonl, or the ARN of an SNS topic"
    if text.lower().startswith("arn:"):
        if not TOPIC.fullmatch(text):
            raise Bad("it is no ARN of an SNS topic", "write it like arn:aws:sns:eu-west-1:123456789012:recordings")
        return Topic(arn=text)
    if "://" in text or not text.lower().endswith(".jsonl"):
        raise Bad("it is no .jsonl file", cure)
    return JsonLines(path=path(text))
