"""One job, one transcript, one event of each object in the bucket, however it is announced and however often."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from service.cli import prefixes
from service.domain.objects import bare_etag
from tests.cli.desk import Desk, dotenv
from tests.cloud import Cloud
from tests.emulator import Emulator
from tests.premises import eventually, until
from tests.standin import totals

LONGEST = f"calls/{'ü' * 200}/{'x' * 613}.wav"
KEYS = ("a b.wav", "a+b.wav", "a%2Bb.wav", "a%2bb.wav", "ä 日本🎧.wav", LONGEST)
"""Neighbours too: what one of them is once encoded or decoded is another one's name."""
TIMES = 10


def announcements(cloud: Cloud, key: str) -> Sequence[str]:
    """S3's notification and EventBridge's, as their documentation has them: bare, raw from SNS, and wrapped by it."""
    head = cloud.emulator.client("s3").head_object(Bucket=cloud.recordings, Key=key)
    version = head["VersionId"]
    told = {"size": head["ContentLength"], "eTag": bare_etag(head["ETag"]), "sequencer": "0055AED6DCD90281E5"}
    of_s3 = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": cloud.recordings}, "object": {"key": quote_plus(key), **told, "versionId": version}},
    }
    # EventBridge encodes no key and spells the rest another way.
    etag = {"etag": told["eTag"], "size": told["size"], "version-id": version}
    of_eventbridge = {
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {"version": "0", "bucket": {"name": cloud.recordings}, "object": {"key": key, **etag}},
    }
    bare = [json.dumps({"Records": [of_s3]}), json.dumps(of_eventbridge)]
    return [*bare, *(json.dumps({"Type": "Notification", "MessageId": "1", "Message": each}) for each in bare)]


def test_every_way_of_hearing_of_an_object_again_makes_nothing_again(
    tmp_path: Path,
    standin: str,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert len(LONGEST.encode()) == 1024
    # Where there are versions, a notification tells of one and a listing does not.
    cloud = Cloud(tmp_path, standin, emulator, versioned=True)
    made = {cloud.put(key, f"This is number {number}."): number for number, key in enumerate(KEYS)}
    heard = [each for key in KEYS for each in announcements(cloud, key)] * TIMES
    cloud.send(*heard)
    asyncio.run(served(cloud))
    for event in cloud.events():
        number = made.pop(event["data"]["job_id"])
        assert event["data"]["recording"]["key"] == KEYS[number]
        assert f"number {number}." in cloud.words(event["data"])
    assert not made
    once(cloud)
    monkeypatch.setattr(prefixes, "A_SECOND", 1e9)
    monkeypatch.chdir(tmp_path)
    dotenv(tmp_path, cloud.environment)
    desk = Desk(tmp_path, monkeypatch, capsys)
    assert backfilled(desk, cloud) == [False] * len(KEYS)
    # The results outlive the rows, and are what tells then.
    assert cloud.forget() == len(KEYS)
    assert backfilled(desk, cloud) == [False] * len(KEYS)
    cloud.send(*heard[: 4 * len(KEYS)])
    asyncio.run(served(cloud))
    assert cloud.items() == []
    once(cloud)


async def served(cloud: Cloud) -> None:
    """The service at work until the queue is empty and every job has ended."""

    async def ended() -> bool:
        return all(row.ended for row in (await cloud.rows()).values())

    async with cloud.serving():
        await eventually(lambda: cloud.waiting() == (0, 0))
        await until(ended)


def backfilled(desk: Desk, cloud: Cloud) -> list[bool]:
    """Of each object in the bucket whether it made a new job."""
    ran = desk("submit", "--recursive", f"s3://{cloud.recordings}/", "--yes", "--json")
    assert ran.code == 0, ran.err
    return [each["new"] for each in ran.json["jobs"]]


def once(cloud: Cloud) -> None:
    """Each was told once, transcribed once, asked about once."""
    cloud.events()
    assert len(cloud.deliveries) == len(KEYS)
    found = totals(cloud.standin)
    assert found["submissions"] == found["transcripts_billed"] == len(KEYS)
    assert found["asks_billed"] == 3 * len(KEYS)
    assert len(cloud.keys("/result.json")) == len(KEYS)
