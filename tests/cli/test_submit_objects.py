"""`afterword submit s3://…`: the job that the object's notification would make, and whole prefixes, not too fast."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from service.cli import prefixes
from service.domain.identity import job_id
from service.domain.objects import ObjectPlace, recording
from tests.cli.desk import Desk
from tests.emulator import Emulator

KEY = "calls/a b/%2B+é.mp3"


class Bucket:
    """A bucket of recordings."""

    def __init__(self, emulator: Emulator) -> None:
        self.name = emulator.name("recordings")
        self._s3 = emulator.client("s3")
        self._s3.create_bucket(Bucket=self.name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def put(self, key: str, body: bytes = b"sound", **metadata: str) -> str:
        """Its etag."""
        return str(self._s3.put_object(Bucket=self.name, Key=key, Body=body, Metadata=metadata)["ETag"])

    def uri(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    def delete(self, key: str) -> None:
        self._s3.delete_object(Bucket=self.name, Key=key)


@pytest.fixture
def bucket(emulator: Emulator) -> Bucket:
    return Bucket(emulator)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls to S3, in their order."""
    from service.adapters.aws import Aws  # noqa: PLC0415

    made: list[str] = []
    call = Aws.call

    async def noted(self: Aws, service: str, operation: str, **parameters: Any) -> Any:
        made.append(operation)
        return await call(self, service, operation, **parameters)

    monkeypatch.setattr(Aws, "call", noted)
    return made


def jobs(desk: Desk) -> dict[str, Any]:
    return {each["recording"]["key"]: each for each in desk("jobs", "list", "--json").json}


def test_an_object_is_the_job_that_its_notification_would_make(configured: Desk, bucket: Bucket) -> None:
    etag = bucket.put(KEY, agent="Ada", line="3")
    first = configured("submit", bucket.uri(KEY), "--metadata", "line=4", "--metadata", "desk=north")
    assert (first.code, first.err) == (0, "")
    announced = recording(
        ObjectPlace(bucket=bucket.name, key=KEY), etag=etag, size=None, version=None, seen_at=0, metadata={}
    )
    assert first.out.split()[:3] == [job_id("afterword", announced), "new", "calls"]
    made = jobs(configured)[KEY]["recording"]
    assert (made["uri"], made["size"]) == (bucket.uri(KEY), 5)
    assert made["metadata"] == {"agent": "Ada", "line": "4", "desk": "north"}
    assert configured("submit", bucket.uri(KEY)).out.split()[1] == "known"
    assert configured("submit", bucket.uri(KEY), "--again").out.split()[1] == "new"
    bucket.put(KEY, b"other sound")
    assert configured("submit", bucket.uri(KEY), "--dry-run", "--json").json["jobs"][0]["new"] is True


def test_an_object_that_cannot_be_is_one_sentence(configured: Desk, bucket: Bucket) -> None:
    bucket.put("empty.mp3", b"")
    bucket.put("other.xyz")
    told = {
        bucket.uri("gone.mp3"): f"{bucket.uri('gone.mp3')}: it is not there; name an object with sound in it",
        bucket.uri("empty.mp3"): f"{bucket.uri('empty.mp3')}: it is empty; name an object with sound in it",
        bucket.uri("calls/"): f"{bucket.uri('calls/')}: it is no object but a place of objects; name an object, or",
        f"s3://{bucket.name}": "it is no object but a place of objects; name an object, or take all under it",
        bucket.uri("other.xyz"): "other.xyz: no pipeline takes this recording; choose one of calls, notes with",
    }
    for target, words in told.items():
        [error] = configured("submit", target).errors
        assert words in error
    [error] = configured("submit", f"s3://{bucket.name}-gone/", "-r").errors
    assert f"error: s3://{bucket.name}-gone/: it cannot be listed (s3 says NoSuchBucket" in error


def test_a_machine_without_credentials_is_told_what_it_lacks(
    configured: Desk, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for words in (("submit", bucket.uri("a.mp3")), ("submit", bucket.uri(""), "-r")):
        [error] = configured(*words).errors
        assert "there are no AWS credentials here; set AWS_PROFILE, or AWS_ACCESS_KEY_ID" in error


def test_a_prefix_is_counted_first_and_then_handed_over_once(
    configured: Desk, bucket: Bucket, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.adapters.drops.objects.PAGE", 4)
    monkeypatch.setattr(prefixes, "A_SECOND", 1e9)
    for number in range(6):
        bucket.put(f"2025/{number}.mp3")
    bucket.put("2025/notes", b"")
    bucket.put("2025/", b"")
    bucket.put("2025/folder.mp3/", b"with something in it")
    bucket.put("2025/other.xyz")
    bucket.put("2026/later.mp3")
    bucket.put(f"2025/calls/x.mp3/job_{'0' * 32}/runs/2/answers/a.mp3", b"ours, of another deployment")
    survey = configured("submit", bucket.uri("2025/"), "-r", "--dry-run", "--json").json
    pipelines = {"calls": {"recordings": 6, "bytes": 30}}
    assert survey == {"dry_run": True, "recordings": 6, "bytes": 30, "pipelines": pipelines, "unmatched": 1}
    assert not (configured.folder / "afterword.db").exists()
    assert set(calls) == {"list_objects_v2"}
    asked = configured("submit", bucket.uri("2025/"), "-r")
    assert "6 recordings would be transcribed and billed, and nobody can be asked" in asked.err
    first = configured("submit", bucket.uri("2025/"), "-r", "-y", "--metadata", "from=archive")
    assert (first.code, first.out.count("job_")) == (0, 6)
    assert "in all  6 recordings" in first.err
    assert "6 new jobs, 0 known already" in first.err
    made = jobs(configured)
    assert set(made) == {f"2025/{number}.mp3" for number in range(6)}
    assert {each["lane"] for each in made.values()} == {"backfill"}
    assert {each["recording"]["metadata"]["from"] for each in made.values()} == {"archive"}
    calls.clear()
    second = configured("submit", bucket.uri("2025/"), "-r", "-y", "--json")
    assert [each["new"] for each in second.json["jobs"]] == [False] * 6
    # Most of a backfill that is repeated is known: then not even its objects are asked about.
    assert set(calls) == {"list_objects_v2"}
    again = configured("submit", bucket.uri("2025/"), "-r", "-y", "--again", "--pipeline", "notes")
    assert "7 new jobs" in again.err


def test_results_in_the_bucket_of_the_recordings_are_none(configured: Desk, bucket: Bucket) -> None:
    configured.environ("AFTERWORD_RESULTS", bucket.uri("results"))
    bucket.put("results/a.mp3")
    bucket.put("a.mp3")
    assert configured("submit", bucket.uri(""), "-r", "--dry-run", "--json").json["recordings"] == 1


def test_the_rate_of_a_backfill_is_bounded(configured: Desk, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    rested: list[float] = []

    async def rest(seconds: float) -> None:
        rested.append(seconds)

    ours = SimpleNamespace(gather=asyncio.gather, get_running_loop=asyncio.get_running_loop, sleep=rest)
    monkeypatch.setattr(prefixes, "asyncio", ours)
    # So slow that what the work itself takes makes no difference.
    monkeypatch.setattr(prefixes, "A_SECOND", 0.001)
    monkeypatch.setattr(prefixes, "AT_ONCE", 2)
    for number in range(5):
        bucket.put(f"{number}.mp3")
    assert configured("submit", bucket.uri(""), "-r", "-y").code == 0
    assert rested == pytest.approx([2000, 2000, 1000], abs=60)


def test_an_object_that_goes_meanwhile_does_not_keep_the_others_back(
    configured: Desk, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        bucket.put(f"{name}.mp3")
    agreed = prefixes.hand_over

    async def later(*given: Any) -> None:
        listed = prefixes.listed

        async def gone(*place: Any) -> Any:
            async for page in listed(*place):
                bucket.delete("b.mp3")
                yield page

        monkeypatch.setattr(prefixes, "listed", gone)
        await agreed(*given)

    monkeypatch.setattr(prefixes, "hand_over", later)
    ran = configured("submit", bucket.uri(""), "-r", "-y")
    assert ran.code == 1
    assert ran.out.count("job_") == 2
    assert ran.errors == [f"error: {bucket.uri('b.mp3')}: it is not there; name an object with sound in it"]


def test_a_backfill_that_breaks_off_goes_on_where_it_was(
    configured: Desk, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefixes, "AT_ONCE", 2)
    monkeypatch.setattr(prefixes, "A_SECOND", 1e9)
    for name in "abcd":
        bucket.put(f"{name}.mp3")
    good = prefixes.recording

    async def broken(target: Any, order: Any) -> Any:
        if target.place.key == "c.mp3":
            raise KeyboardInterrupt
        return await good(target, order)

    with monkeypatch.context() as breaking:
        breaking.setattr(prefixes, "recording", broken)
        ran = configured("submit", bucket.uri(""), "-r", "-y")
    assert ran.code == 130
    assert "2 new jobs, 0 known already" in ran.err
    assert "2 new jobs, 2 known already" in configured("submit", bucket.uri(""), "-r", "-y").err
    assert len(jobs(configured)) == 4
