"""Notifications in a real queue, of a real bucket: whichever way they came, one object is one job."""

import json
import time
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from service.adapters.drops import objects
from service.adapters.drops.queue_check import problems
from service.domain.errors import RecordingMissing
from service.domain.identity import job_id
from service.domain.objects import ObjectPlace
from tests.contract.dropping import Taken, until
from tests.contract.queueing import Post, events, post, taken_of
from tests.emulator import Emulator

pytestmark = pytest.mark.anyio

__all__ = ["post"]

KEYS = ["calls/a b.mp3", "calls/a+b.mp3", "calls/a%2Bb.mp3", "calls/ünï 🎉.mp3", "calls/" + "é" * 507 + ".mp3"]


def test_the_longest_key_is_as_long_as_s3_allows() -> None:
    assert max(len(key.encode()) for key in KEYS) == 1024


def enveloped(body: object) -> dict[str, object]:
    return {"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:r:a:t", "Message": json.dumps(body)}


@pytest.mark.parametrize("key", KEYS)
async def test_ten_deliveries_of_each_shape_and_a_listing_make_one_job(post: Post, key: str) -> None:
    etag = post.put(key, Metadata={"Agent": "ada"})
    notice = post.notice(key, size=5, eTag=etag, sequencer="0A")
    bridged = {
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {"bucket": {"name": post.bucket}, "object": {"key": key, "size": 5, "etag": etag}},
    }
    shapes = [notice, bridged, enveloped(notice), enveloped(bridged), post.notice(key)]
    taken = await taken_of(post, *(shape for shape in shapes for _ in range(10)))
    assert len(taken.recordings) == 50
    assert {recording.key for recording in taken.recordings} == {key}
    assert {recording.metadata["agent"] for recording in taken.recordings} == {"ada"}
    [page] = [page async for page in objects.listed(post.aws, ObjectPlace(bucket=post.bucket, key="calls/"))]
    backfilled = await objects.described(post.aws, page[0].place, time.time)
    jobs = {job_id("afterword", recording) for recording in [*taken.recordings, backfilled]}
    assert len(jobs) == 1
    assert (page[0].etag, page[0].size) == (etag, 5)


async def test_the_bucket_itself_topics_and_eventbridge_all_reach_the_queue(post: Post, emulator: Emulator) -> None:
    client = emulator.client
    topics = [client("sns").create_topic(Name=f"{post.queue}-{number}")["TopicArn"] for number in range(2)]
    for topic, raw in zip(topics, ("false", "true"), strict=True):
        client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=post.arn(post.url), Attributes={"RawMessageDelivery": raw}
        )
    rule = f"{post.queue}-rule"
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [post.bucket]}}}
    client("events").put_rule(Name=rule, EventPattern=json.dumps(pattern))
    client("events").put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": post.arn(post.url)}])
    every = ["s3:ObjectCreated:*"]
    post.s3.put_bucket_notification_configuration(
        Bucket=post.bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": post.arn(post.url), "Events": every}],
            "TopicConfigurations": [{"TopicArn": topic, "Events": every} for topic in topics],
            "EventBridgeConfiguration": {},
        },
    )
    taken = Taken()
    async with post.watching(taken):
        for key in KEYS:
            post.put(key)
        await until(lambda: len(taken.recordings) == 4 * len(KEYS))
        await until(post.settled)
    assert sorted({recording.key for recording in taken.recordings}) == sorted(KEYS)
    assert len({job_id("afterword", recording) for recording in taken.recordings}) == len(KEYS)


@pytest.mark.parametrize("written", [quote("a b/c+d.mp3", safe=""), "a b/c+d.mp3", quote("a b/c+d.mp3", safe="/+")])
async def test_a_key_that_is_encoded_otherwise_is_found_by_what_is_there(post: Post, written: str) -> None:
    etag = post.put("a b/c+d.mp3")
    taken = await taken_of(post, post.notice("x", key=written, eTag=etag), post.notice("x", key=written))
    assert taken.keys == ["a b/c+d.mp3"] * 2


async def test_a_neighbour_with_a_key_like_it_is_never_taken_for_the_announced_one(post: Post) -> None:
    """`a+b.mp3` on the wire is `a b.mp3`, which is gone; `a+b.mp3` is another recording."""
    post.put("a+b.mp3", b"neighbour")
    taken = await taken_of(post, post.notice("a b.mp3", eTag="0" * 32), post.notice("a b.mp3", size=5))
    [recording] = taken.recordings
    assert (recording.key, recording.etag, recording.size) == ("a b.mp3", "0" * 32, None)


async def test_an_overwritten_object_is_announced_as_it_was_without_anything_of_the_newer_one(post: Post) -> None:
    older = post.put("a.mp3", b"older", Metadata={"agent": "ada"})
    newer = post.put("a.mp3", b"the newer one", Metadata={"agent": "bob"})
    taken = await taken_of(post, post.notice("a.mp3", eTag=older, size=5), post.notice("a.mp3", eTag=f'"{newer}"'))
    told = {recording.etag: (recording.size, dict(recording.metadata)) for recording in taken.recordings}
    assert told == {older: (5, {}), newer: (13, {"agent": "bob"})}


async def test_a_version_is_read_as_it_was_whatever_came_after_it(post: Post) -> None:
    post.s3.put_bucket_versioning(Bucket=post.bucket, VersioningConfiguration={"Status": "Enabled"})
    made = [
        post.s3.put_object(Bucket=post.bucket, Key="a.mp3", Body=body, Metadata={"n": str(len(body))})
        for body in (b"one", b"second")
    ]
    versions = [each["VersionId"] for each in made]
    taken = await taken_of(post, post.notice("a.mp3", versionID=versions[0]), post.notice("a.mp3", versionId="null"))
    told = {recording.version: (recording.size, recording.metadata["n"]) for recording in taken.recordings}
    # Where none was announced, what stands there now is pinned.
    assert told == {versions[0]: (3, "3"), versions[1]: (6, "6")}


async def test_what_is_gone_is_a_job_that_will_tell_so_if_its_content_was_announced(post: Post) -> None:
    with capture_logs() as logs:
        taken = await taken_of(post, post.notice("gone.mp3", eTag="1" * 32, size=5), post.notice("lost.mp3"))
    [recording] = taken.recordings
    assert (recording.key, recording.etag, recording.size) == ("gone.mp3", "1" * 32, 5)
    assert [(entry["key"], entry["log_level"]) for entry in events(logs, "drop.ignored")] == [("lost.mp3", "info")]


async def test_folders_empty_objects_other_events_and_our_own_results_are_left_alone(post: Post) -> None:
    result = "staging/calls/a.mp3/job_0123456789abcdef0123456789abcdef/result.json"
    for key in ("calls/", "empty.mp3", "results/a.mp3", result):
        post.put(key, b"" if key[0] in "ce" else b"x")
    removed = post.notice("a.mp3")
    removed["Records"][0]["eventName"] = "ObjectRemoved:Delete"
    notices = [post.notice(key) for key in ("calls/", "empty.mp3", "results/a.mp3", result)]
    with capture_logs() as logs:
        taken = await taken_of(post, *notices, removed, {"Service": "Amazon S3", "Event": "s3:TestEvent"})
    assert taken.recordings == []
    assert {entry["log_level"] for entry in events(logs, "drop.ignored") if entry.get("key") != "empty.mp3"} == {
        "debug"
    }
    assert post.tally.counts == {"ignored": 1}


async def test_metadata_that_is_not_ascii_is_told_as_it_was_meant(post: Post) -> None:
    assert objects.decoded("=?UTF-8?B?w4RkYQ==?=") == "Äda"
    assert objects.decoded("=?UTF-8?Q?=C3=84da_L.?=") == "Äda L."
    for kept in (
        "Ada =? Lovelace",
        "=?nonsense?B?w4RkYQ==?=",
        "=?UTF-8?B?w4Rk?=?=",
        "plain",
        "=?unknown-8bit?B?/w==?=",
    ):
        objects.decoded(kept).encode()
    post.put("a.mp3", Metadata={"Agent": "=?UTF-8?B?w4RkYQ==?="})
    [recording] = (await taken_of(post, post.notice("a.mp3"))).recordings
    assert recording.metadata == {"agent": "Äda"}


async def test_a_person_is_told_what_is_wrong_with_an_object_or_a_bucket(post: Post) -> None:
    post.put("empty.mp3", b"")
    for key, words in (("empty.mp3", "is empty"), ("gone.mp3", "is not there")):
        with pytest.raises(RecordingMissing, match=f"{post.bucket}/{key} {words}: name an object"):
            await objects.described(post.aws, ObjectPlace(bucket=post.bucket, key=key), time.time)
    with pytest.raises(RecordingMissing, match=r"cannot be listed .*: name a bucket"):
        _ = [page async for page in objects.listed(post.aws, ObjectPlace(bucket=f"{post.bucket}-not", key=""))]


async def test_a_listing_comes_in_pages(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "PAGE", 2)
    keys = ["in/a b", "in/a+b", "in/ü", "in/x/y", "in/z"]
    for key in [*keys, "out"]:
        post.put(key)
    pages = [page async for page in objects.listed(post.aws, ObjectPlace(bucket=post.bucket, key="in/"))]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(found.place.key for page in pages for found in page) == sorted(keys)


async def test_the_queue_is_tried_without_taking_a_message_out_of_it(post: Post) -> None:
    post.send("something")
    assert await problems(post.aws, post.url) == ([], [])
    [message] = post.sqs.receive_message(QueueUrl=post.url, AttributeNames=["All"])["Messages"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    bad, doubts = await problems(post.aws, post.url + "-not")
    assert [(each.place, each.what) for each in bad] == [("AFTERWORD_DROPS", "there is no such queue")]
    assert not doubts
    post.sqs.set_queue_attributes(QueueUrl=post.dead, Attributes={"MessageRetentionPeriod": "3600"})
    _, doubts = await problems(post.aws, post.dead)
    assert [each.what.partition(",")[0] for each in doubts] == [
        "the queue has no redrive policy",
        "the queue keeps messages for 3600 s only",
    ]
