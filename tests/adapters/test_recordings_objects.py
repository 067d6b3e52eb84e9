"""Recordings in S3: lent by URLs of their job's own, read as they were announced, refused with a cure."""

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.adapters.aws import Aws
from service.adapters.recordings.by_kind import ByKind
from service.adapters.recordings.files import Files
from service.adapters.recordings.objects import BREAKS, PIECE, Objects
from service.adapters.recordings.presigning import UNTOLD, credentials_last
from service.domain.errors import RecordingMissing, RecordingReplaced, StorageTrouble, Unavailable
from service.domain.job import JobId, Kind, Recording
from service.domain.objects import ObjectPlace, recording
from tests.adapters.breaking_s3 import BLOCK, ETAG, Object, reading_out
from tests.emulator import Emulator, Faulty

pytestmark = pytest.mark.anyio

JOB = JobId("job_" + "0f" * 16)
OTHER = JobId("job_" + "f0" * 16)
LIFETIME = 3600.0
ODD = ["a b+c.mp3", "50%2B50%.mp3", "ü/🎙'\"&?#=;<x>.mp3", "k" * 1024, "ü" * 512]


def announced(bucket: str, key: str, answer: Any, size: int = 5) -> Recording:
    place = ObjectPlace(bucket=bucket, key=key)
    version = answer.get("VersionId")
    return recording(place, etag=answer["ETag"], size=size, version=version, seen_at=0.0, metadata={})


class Shelf:
    """A bucket of its own."""

    def __init__(self, emulator: Emulator, *, versioned: bool = False) -> None:
        self.s3 = emulator.client("s3")
        self.bucket = emulator.name("shelf")
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        if versioned:
            self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    def put(self, key: str = "one.mp3", body: bytes = b"sound", **more: Any) -> Recording:
        answer = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)
        return announced(self.bucket, key, answer, len(body))


@pytest.fixture
def shelf(emulator: Emulator) -> Shelf:
    return Shelf(emulator)


@pytest.fixture
def versioned(emulator: Emulator) -> Shelf:
    return Shelf(emulator, versioned=True)


@pytest.fixture
def objects(aws: Aws) -> Objects:
    return Objects(aws, lifetime=LIFETIME)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """AWS as it is found once a test has changed the environment, asked once each time."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with closing(Aws(attempts=1)) as made:
        yield made


async def fetched(url: str) -> tuple[int, bytes]:
    async with httpx2.AsyncClient() as http:
        answer = await http.get(url)
        return answer.status_code, answer.content


async def read(objects: Objects, recording: Recording) -> bytes:
    async with objects.open(recording) as sound:
        pieces = [piece async for piece in sound.chunks()]
        assert sum(map(len, pieces)) == sound.size
        assert max(map(len, pieces), default=0) <= PIECE
        return b"".join(pieces)


@pytest.mark.parametrize("key", ODD)
async def test_an_object_of_any_name_can_be_fetched_by_its_url_and_read(
    objects: Objects, shelf: Shelf, key: str
) -> None:
    made = shelf.put(key, key.encode())
    assert await fetched(await objects.url(made, JOB)) == (200, key.encode())
    assert await read(objects, made) == key.encode()


async def test_a_url_works_for_the_job_that_it_was_made_for_and_as_it_is_only(objects: Objects, shelf: Shelf) -> None:
    made = shelf.put()
    url = await objects.url(made, JOB)
    assert f"x-afterword-job={JOB}" in url
    assert "X-Amz-Expires=3600" in url
    assert url != await objects.url(made, OTHER)
    assert (await fetched(url.replace(JOB, OTHER)))[0] == 403
    assert (await fetched(url.replace(f"x-afterword-job={JOB}&", "")))[0] == 403


async def test_on_amazons_own_hosts_the_bucket_is_in_the_name_and_the_job_signed_with_the_session(
    elsewhere: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a/session+token")
    Objects(elsewhere, lifetime=LIFETIME)
    parameters = {"Bucket": "calls", "Key": "a b.mp3", "VersionId": "v1", "x-afterword-job": JOB}
    url = httpx2.URL(elsewhere.client("s3").generate_presigned_url("get_object", Params=parameters))
    assert (url.host, url.path) == ("calls.s3.eu-west-1.amazonaws.com", "/a b.mp3")
    assert url.params["x-afterword-job"] == JOB
    assert url.params["versionId"] == "v1"
    assert url.params["X-Amz-Security-Token"] == "a/session+token"
    dotted = elsewhere.client("s3").generate_presigned_url("get_object", Params={**parameters, "Bucket": "calls.of.us"})
    assert dotted.startswith("https://s3.eu-west-1.amazonaws.com/calls.of.us/")


async def test_a_client_that_was_there_before_signs_jobs_as_well(aws: Aws, shelf: Shelf) -> None:
    aws.client("s3")
    made = shelf.put()
    for _ in range(2):
        url = await Objects(aws, lifetime=LIFETIME).url(made, JOB)
    assert url.count("x-afterword-job") == 1
    assert (await fetched(url))[0] == 200


async def test_without_a_version_what_took_its_place_is_refused(objects: Objects, shelf: Shelf) -> None:
    made = shelf.put()
    await objects.unchanged(made)
    shelf.put(body=b"other")
    with pytest.raises(RecordingReplaced, match="no longer the recording that was dropped"):
        await objects.unchanged(made)
    with pytest.raises(RecordingReplaced):
        await objects.url(made, JOB)
    with pytest.raises(RecordingReplaced):
        await read(objects, made)


async def test_with_a_version_it_is_that_version_whatever_lies_there_now(objects: Objects, versioned: Shelf) -> None:
    made = versioned.put()
    versioned.put(body=b"other")
    versioned.s3.delete_object(Bucket=versioned.bucket, Key="one.mp3")
    await objects.unchanged(made)
    assert await fetched(await objects.url(made, JOB)) == (200, b"sound")
    assert await read(objects, made) == b"sound"


async def test_what_is_gone_is_missing_and_the_cure_fits(objects: Objects, shelf: Shelf, versioned: Shelf) -> None:
    plain, pinned = shelf.put(), versioned.put()
    shelf.s3.delete_object(Bucket=shelf.bucket, Key="one.mp3")
    shelf.s3.delete_object(Bucket=versioned.bucket, Key="one.mp3", VersionId=pinned.version)
    for made, cure in ((plain, "put it back as it was and retry"), (pinned, "drop it anew")):
        with pytest.raises(RecordingMissing, match=cure):
            await objects.unchanged(made)
        with pytest.raises(RecordingMissing, match=cure):
            await objects.url(made, JOB)
        with pytest.raises(RecordingMissing, match=cure):
            await read(objects, made)


async def test_an_archived_object_is_not_lent_until_it_is_restored(objects: Objects, shelf: Shelf) -> None:
    made = shelf.put(StorageClass="GLACIER")
    with pytest.raises(RecordingMissing, match="archived: restore it"):
        await objects.url(made, JOB)
    with pytest.raises(RecordingMissing, match="archived: restore it"):
        await read(objects, made)
    await objects.unchanged(made)


@pytest.mark.parametrize(
    ("status", "code", "raised", "says"),
    [
        (403, "AccessDenied", Unavailable, "allow the service s3:GetObject on it.*s3:ListBucket on shelf"),
        (403, "InvalidAccessKeyId", Unavailable, "credentials"),
        (400, "ExpiredToken", Unavailable, "credentials"),
        (400, "InvalidRequest", RecordingMissing, "SSE-C"),
        (400, "KMS.DisabledException", Unavailable, "kms:Decrypt"),
        (503, "SlowDown", StorageTrouble, "just now"),
        (500, "InternalError", StorageTrouble, "just now"),
    ],
)
async def test_a_refusal_says_why_and_what_to_do(
    shelf: Shelf, faulty: Faulty, elsewhere: Aws, status: int, code: str, raised: type[Exception], says: str
) -> None:
    made = shelf.put()
    refused = {"code": code, "status": status, "message": "In Amazon's words."}
    faulty.rules(*({"service": "s3", "operation": each, "error": refused} for each in ("HeadObject", "GetObject")))
    objects = Objects(elsewhere, lifetime=LIFETIME)
    for asked in (objects.unchanged(made), objects.url(made, JOB), read(objects, made)):
        with pytest.raises(raised, match=says) as told:
            await asked
        assert "Amazon" not in str(told.value)
        assert isinstance(told.value, StorageTrouble) == (raised is StorageTrouble)


async def test_an_unreachable_s3_is_trouble_of_ours(elsewhere: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    made = recording(ObjectPlace(bucket="calls", key="k"), etag="e", size=5, version=None, seen_at=0.0, metadata={})
    with pytest.raises(StorageTrouble, match="EndpointConnectionError"):
        await Objects(elsewhere, lifetime=LIFETIME).unchanged(made)


async def test_a_large_object_is_read_in_constant_memory(elsewhere: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    with reading_out(Object(200_000_000)) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        objects, made = Objects(elsewhere, lifetime=LIFETIME), large(served)
        elsewhere.client("s3")
        tracemalloc.start()
        try:
            async with objects.open(made) as sound:
                total = 0
                async for piece in sound.chunks():
                    total += len(piece)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert total == served.size
    assert peak < 10 * PIECE


async def test_a_connection_that_breaks_is_taken_up_where_it_broke(
    elsewhere: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reading_out(Object(3_000_000, breaks=[0, 0, 0, 1_500_000, 10, 0, PIECE])) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        whole = await read(Objects(elsewhere, lifetime=LIFETIME), large(served))
    expected = (BLOCK * 46)[: served.size]
    assert sha256(whole).digest() == sha256(expected).digest()
    assert len(served.asked) == 8


async def test_through_a_proxy_that_drops_lengths_the_announced_one_counts(
    shelf: Shelf, faulty: Faulty, elsewhere: Aws
) -> None:
    made = shelf.put(body=b"sound" * 1000)
    faulty.rules({"service": "s3", "operation": "GetObject", "times": 1, "response": {"abort_frac": 0.3}})
    assert await read(Objects(elsewhere, lifetime=LIFETIME), made) == b"sound" * 1000


async def test_one_that_breaks_without_end_is_given_up_for_now(elsewhere: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    with reading_out(Object(3_000_000, breaks=[0] * 20)) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        with pytest.raises(StorageTrouble, match="breaks off again and again"):
            await read(Objects(elsewhere, lifetime=LIFETIME), large(served))
    assert len(served.asked) == 1 + BREAKS


async def test_what_is_replaced_while_it_is_read_is_not_read_on(
    elsewhere: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reading_out(Object(3_000_000, breaks=[1_000_000])) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        async with Objects(elsewhere, lifetime=LIFETIME).open(large(served)) as sound:
            served.etag = "1" * 32
            with pytest.raises(RecordingReplaced):
                [piece async for piece in sound.chunks()]


async def test_an_engine_without_ranges_is_not_read_from_the_start_again(
    elsewhere: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reading_out(Object(3_000_000, breaks=[1_000_000], ranges=False)) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        with pytest.raises(StorageTrouble, match="does not go on"):
            await read(Objects(elsewhere, lifetime=LIFETIME), large(served))


def large(served: Object) -> Recording:
    place = ObjectPlace(bucket="calls", key="large.wav")
    return recording(place, etag=ETAG, size=served.size, version=None, seen_at=0.0, metadata={})


async def test_each_recording_is_read_where_it_lies(objects: Objects, shelf: Shelf, tmp_path: Path) -> None:
    there = ByKind(Files(time.time), objects)
    made = shelf.put()
    (tmp_path / "a.wav").write_bytes(b"file")
    file = Recording(kind=Kind.FILE, uri="", key="", name="", location=str(tmp_path / "a.wav"), size=4, dropped_at="")
    for each, sound in ((made, b"sound"), (file, b"file")):
        async with there.open(each) as opened:
            assert [piece async for piece in opened.chunks()] == [sound]
        await there.unchanged(each)
    assert (await there.url(made, JOB)).startswith("http")
    with pytest.raises(RecordingMissing, match="neither a file nor an object"):
        await there.unchanged(file.model_copy(update={"kind": Kind.URL}))


async def test_long_term_credentials_do_not_expire_and_others_say_when(
    elsewhere: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    assert await credentials_last(elsewhere, time.time) is None
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert await credentials_last(Aws(), lambda: 0.0) == UNTOLD
    ends = datetime.now(UTC) + timedelta(hours=2)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", ends.isoformat())
    assert await credentials_last(Aws(), lambda: ends.timestamp() - 7200) == pytest.approx(7200)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    assert await credentials_last(Aws(), time.time) == 0.0
