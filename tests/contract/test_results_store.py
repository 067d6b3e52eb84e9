"""What every store of results promises: whole or absent, the first writer keeps it."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import psutil
import pytest

from service.adapters.aws import Aws
from service.adapters.results import bucket as bucket_store
from service.adapters.results.bucket import CONFLICTS, BucketResults, limits
from service.adapters.results.folder import FolderResults
from service.adapters.results.parts import PART
from service.domain.errors import StorageTrouble, Unavailable
from service.domain.job import JobId
from service.domain.places import FOLDER, Limits, place
from service.ports.places import Results
from tests.adapters.breaking_s3 import Object, reading_out
from tests.contract.losing import losing_an_answer
from tests.emulator import REGION, Emulator, Faulty

JOB = JobId("job_" + "0f" * 16)
JSON = "application/json"
MP3 = "audio/mpeg"
PREFIX = "kept/ü here/"

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder_results(tmp_path: Path) -> FolderResults:
    return FolderResults(tmp_path / "results")


@pytest.fixture
def bucket(emulator: Emulator) -> str:
    name = emulator.name("results")
    emulator.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


@pytest.fixture
def bucket_results(aws: Aws, bucket: str) -> BucketResults:
    return BucketResults(aws, bucket, PREFIX)


@pytest.fixture
def elsewhere(emulator: Emulator) -> Iterator[Aws]:
    with closing(Aws()) as aws:
        yield aws


@pytest.fixture(params=["folder_results", "bucket_results"])
def results(request: pytest.FixtureRequest) -> Results:
    store: Results = request.getfixturevalue(request.param)
    return store


async def test_what_was_put_is_read_back(results: Results) -> None:
    assert await results.put_new("calls/a b.mp3/x.json", b"{}", JSON)
    assert await results.get("calls/a b.mp3/x.json") == b"{}"


async def test_nothing_is_read_where_nothing_was_put(results: Results) -> None:
    assert await results.get("calls/a.json") is None
    await results.put_new("calls/a.json", b"1", JSON)
    assert await results.get("calls/b.json") is None
    assert await results.get("other/a.json") is None
    assert [await results.has(key) for key in ("calls/a.json", "calls/b.json")] == [True, False]


async def test_the_second_writer_loses_and_reads_the_first(results: Results) -> None:
    assert await results.put_new("a.json", b"first", JSON)
    assert not await results.put_new("a.json", b"second", JSON)
    assert await results.get("a.json") == b"first"


async def test_of_many_writers_at_once_exactly_one_is_first(results: Results) -> None:
    won: list[int] = []

    async def put(number: int) -> None:
        if await results.put_new("calls/deep/er/a.json", b"%d" % number * 10_000, JSON):
            won.append(number)

    async with anyio.create_task_group() as group:
        for number in range(1, 17):
            group.start_soon(put, number)
    assert len(won) == 1
    assert await results.get("calls/deep/er/a.json") == b"%d" % won[0] * 10_000


async def test_an_empty_body_is_a_body(results: Results) -> None:
    assert await results.put_new("calls/empty.txt", b"", "text/plain")
    assert not await results.put_new("calls/empty.txt", b"x", "text/plain")
    assert await results.get("calls/empty.txt") == b""
    assert await results.has("calls/empty.txt")


async def pieces(*sizes: int, then: Exception | None = None) -> AsyncIterator[bytes]:
    for number, size in enumerate(sizes):
        yield bytes([number + 1]) * size
    if then is not None:
        raise then


LONG = (100, PART, 3)
"""Pieces that go into a bucket in several parts, none of them of the same length."""


@pytest.mark.parametrize("sizes", [(), (0,), (3, 4), (PART,), LONG], ids=["none", "empty", "short", "a part", "long"])
async def test_what_came_in_pieces_is_read_back_whole(results: Results, sizes: tuple[int, ...]) -> None:
    assert await results.put_new_stream("calls/a.mp3", pieces(*sizes), MP3)
    assert await results.get("calls/a.mp3") == b"".join([piece async for piece in pieces(*sizes)])


@pytest.mark.parametrize("sizes", [(3, 4), LONG], ids=["short", "long"])
async def test_pieces_that_are_second_lose_too(results: Results, sizes: tuple[int, ...]) -> None:
    assert await results.put_new("a.mp3", b"first", MP3)
    assert not await results.put_new_stream("a.mp3", pieces(*sizes), MP3)

    async def overtaken() -> AsyncIterator[bytes]:
        async for piece in pieces(*sizes):
            yield piece
        assert await results.put_new("b.mp3", b"first", MP3)

    assert not await results.put_new_stream("b.mp3", overtaken(), MP3)
    assert [await results.get(key) for key in ("a.mp3", "b.mp3")] == [b"first", b"first"]


@pytest.mark.parametrize("sizes", [(3,), LONG], ids=["short", "long"])
async def test_pieces_that_break_off_leave_nothing(results: Results, sizes: tuple[int, ...]) -> None:
    with pytest.raises(Unavailable, match="broke off"):
        await results.put_new_stream("a.mp3", pieces(*sizes, then=Unavailable("it broke off")), MP3)
    assert not await results.has("a.mp3")
    assert await results.put_new_stream("a.mp3", pieces(*sizes), MP3)


@pytest.mark.parametrize(
    "key",
    ["../../etc/passwd", "/etc/passwd", "a//b", "a/", ".", "\0", " ", "a\nb", "ü/🎙'\"%2F.mp3", "x" * 255, "ü/" * 900],
)
async def test_results_of_any_recording_find_room(results: Results, key: str) -> None:
    where = place("calls", key, JOB, limits(PREFIX) if isinstance(results, BucketResults) else FOLDER)
    for file in (where.transcript_json, where.answer("summary", 1), where.answer("summary", 2), where.result(2)):
        assert await results.put_new(file, file.encode(), JSON)
        assert await results.get(file) == file.encode()


@pytest.mark.parametrize("key", ["../a", "a/../../b", "/a", "a//b", "a/", "", ".", "a/./b", "a\0b"])
async def test_an_unsafe_key_is_a_mistake_of_ours_and_refused(results: Results, key: str) -> None:
    with pytest.raises(ValueError, match="not a safe key"):
        await results.put_new(key, b"x", JSON)
    with pytest.raises(ValueError, match="not a safe key"):
        await results.get(key)
    with pytest.raises(ValueError, match="not a safe key"):
        await results.put_new_stream(key, pieces(1), MP3)


WRITER = """
import asyncio, os, sys
from pathlib import Path
from service.adapters.results.folder import FolderResults

async def write():
    store = FolderResults(Path(sys.argv[1]))
    for number in range(1000):
        await store.put_new(f"calls/{number % 7}/{number}.json", b"x" * 200_000, "application/json")
        print(number, flush=True)

asyncio.run(write())
"""


def killed_while_writing(root: Path, after: int) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= after:
                writer.kill()
                break


async def test_a_killed_writer_leaves_files_whole_or_absent(tmp_path: Path) -> None:
    root = tmp_path / "results"
    for after in (0, 3, 11):
        await anyio.to_thread.run_sync(killed_while_writing, root, after)
    assert list(root.rglob("*.json"))
    assert {len(file.read_bytes()) for file in root.rglob("*.json")} == {200_000}
    store = FolderResults(root)
    for folder in root.glob("calls/*"):
        await store.put_new(f"calls/{folder.name}/last.json", b"{}", JSON)
    assert not list(root.rglob("*.part"))


async def test_what_fits_into_a_bucket_is_what_its_prefix_leaves() -> None:
    assert limits("") == Limits(key=1024, name=None)
    assert limits("ü/") == Limits(key=1021, name=None)
    with pytest.raises(ValueError, match="shorten the prefix"):
        limits("x" * 1000)


async def test_half_a_result_is_none(elsewhere: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    with reading_out(Object(100_000, breaks=[50_000])) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        results = BucketResults(elsewhere, "results", "")
        with pytest.raises(StorageTrouble, match="goes on by itself"):
            await results.get("a.json")
        assert len(await results.get("a.json") or b"") == served.size


async def test_a_result_in_a_bucket_has_its_type_and_its_address(
    bucket_results: BucketResults, bucket: str, emulator: Emulator
) -> None:
    key = "calls/a b%2B+ü.mp3/x.json"
    await bucket_results.put_new(key, b"{}", JSON)
    assert bucket_results.uri(key) == f"s3://{bucket}/{PREFIX}{key}"
    found = emulator.client("s3").get_object(Bucket=bucket, Key=PREFIX + key)
    assert (found["ContentType"], found["Body"].read()) == (JSON, b"{}")


async def test_what_is_too_large_to_be_ours_is_not_read(aws: Aws, bucket: str) -> None:
    small = BucketResults(aws, bucket, "", largest=3)
    await small.put_new("a.json", b"four", JSON)
    with pytest.raises(StorageTrouble, match=rf"s3://{bucket}/a.json has more than 3 bytes"):
        await small.get("a.json")


@pytest.fixture
def through(faulty: Faulty, bucket: str) -> Iterator[BucketResults]:
    """Results that are reached through the proxy."""
    with closing(Aws()) as aws:
        yield BucketResults(aws, bucket, "")


async def test_a_put_whose_acknowledgement_was_lost_is_there_to_be_read(
    emulator: Emulator, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with losing_an_answer(emulator.url) as url, closing(Aws()) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        results = BucketResults(aws, bucket, "")
        # Whether it was ours nobody can say any more; what stands is what counts.
        assert await results.put_new("a.json", b"first", JSON) is False
        assert await results.get("a.json") == b"first"


async def test_a_conflicting_put_is_tried_again_and_not_without_end(
    through: BucketResults, faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_store, "PAUSE", 0.001)
    rule: dict[str, Any] = {"service": "s3", "operation": "PutObject"}
    conflict = {"code": "ConditionalRequestConflict", "status": 409}
    faulty.rules({**rule, "times": 2, "error": conflict})
    assert await through.put_new("a.json", b"{}", JSON)
    faulty.rules({**rule, "error": conflict})
    with pytest.raises(StorageTrouble, match="goes on by itself"):
        await through.put_new("b.json", b"{}", JSON)
    assert len(faulty.fired()) == 2 + CONFLICTS


@pytest.mark.parametrize(
    ("code", "status", "cure"),
    [
        ("AccessDenied", 403, "allow the service s3:"),
        ("ExpiredToken", 400, "credentials"),
        ("NoSuchBucket", 404, "make it, or name another one in AFTERWORD_RESULTS"),
        ("SlowDown", 503, "goes on by itself"),
        ("InternalError", 500, "goes on by itself"),
        ("NotImplemented", 501, "If-None-Match"),
        ("KMS.DisabledException", 400, "kms:"),
        ("TeaPot", 418, "mend that, or name another one in AFTERWORD_RESULTS"),
    ],
)
async def test_trouble_with_the_bucket_is_ours_and_says_what_to_do(
    faulty: Faulty, bucket: str, code: str, status: int, cure: str
) -> None:
    refused = {"code": code, "status": status, "message": "In Amazon's words."}
    faulty.rules(*({"service": "s3", "operation": each, "error": refused} for each in ("PutObject", "GetObject")))
    with closing(Aws(attempts=1)) as aws:
        results = BucketResults(aws, bucket, "")
        for asked in (results.put_new("a.json", b"", JSON), results.get("a.json"), results.has("a.json")):
            with pytest.raises(StorageTrouble, match=f"the results bucket {bucket} cannot be used .*{cure}") as told:
                await asked
            assert "Amazon" not in str(told.value)


async def test_a_bucket_that_is_not_there_is_never_taken_for_an_empty_one(aws: Aws, emulator: Emulator) -> None:
    nowhere = BucketResults(aws, emulator.name("nowhere"), "")
    for asked in (nowhere.has("a.json"), nowhere.get("a.json")):
        with pytest.raises(StorageTrouble, match="make it"):
            await asked


async def test_parts_that_came_to_nothing_are_not_left_in_the_bucket(
    bucket_results: BucketResults, bucket: str, emulator: Emulator
) -> None:
    with pytest.raises(Unavailable):
        await bucket_results.put_new_stream("a.mp3", pieces(*LONG, then=Unavailable("it broke off")), MP3)
    assert "Uploads" not in emulator.client("s3").list_multipart_uploads(Bucket=bucket)


async def test_pieces_that_broke_off_leave_no_file(folder_results: FolderResults, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await folder_results.put_new_stream("calls/a.mp3", pieces(5, then=Unavailable("it broke off")), MP3)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_a_result_in_parts_has_its_type_too(
    bucket_results: BucketResults, bucket: str, emulator: Emulator
) -> None:
    await bucket_results.put_new_stream("a.mp3", pieces(*LONG), MP3)
    found = emulator.client("s3").head_object(Bucket=bucket, Key=PREFIX + "a.mp3")
    assert (found["ContentType"], found["ContentLength"]) == (MP3, sum(LONG))


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "PutObject"], ids=["the first call", "a part"])
async def test_trouble_in_the_middle_of_parts_is_ours_and_says_what_to_do(
    through: BucketResults, faulty: Faulty, operation: str
) -> None:
    refused = {"code": "AccessDenied", "status": 403, "message": "In Amazon's words."}
    faulty.rules({"service": "s3", "operation": operation, "error": refused})
    with pytest.raises(StorageTrouble, match="allow the service s3:PutObject"):
        await through.put_new_stream("a.mp3", pieces(*LONG), MP3)
    assert not await through.has("a.mp3")


@pytest.mark.parametrize("store", ["folder_results", "bucket_results"])
async def test_sixty_four_megabytes_in_pieces_stay_out_of_the_memory(
    request: pytest.FixtureRequest, store: str
) -> None:
    results: Results = request.getfixturevalue(store)
    process, peak = psutil.Process(), 0

    async def many() -> AsyncIterator[bytes]:
        nonlocal peak
        for _ in range(64):
            peak = max(peak, process.memory_info().rss)
            yield bytes(1_000_000)

    assert await results.put_new_stream("warm.mp3", pieces(*LONG), MP3)
    before = process.memory_info().rss
    assert await results.put_new_stream("long.mp3", many(), MP3)
    assert peak - before <= 45_000_000
