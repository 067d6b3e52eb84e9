"""Recordings in S3: never one recording's words under another's name, whatever becomes of the object meanwhile."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.domain.job import Job
from service.domain.objects import ObjectPlace
from service.engine.row import Lane, RowId
from service.stages.drop import job, row
from service.wiring import amazon, described_object, opened_store
from tests.emulator import REGION, Emulator
from tests.premises import Premises, eventually, until
from tests.standin import QUICK, ledger, running, script, set_faults, totals

pytestmark = pytest.mark.anyio

KEY = "calls/the call+1.wav"
FIRST, SECOND = "The first words.", "Words of another call."


class Yard(Premises):
    """Premises whose recordings lie in a bucket, and whose results go to another one."""

    def __init__(self, folder: Path, standin: str, emulator: Emulator, *, callbacks: bool = True, **more: str) -> None:
        self.s3 = emulator.client("s3")
        self.bucket, self.kept = emulator.name("yard"), emulator.name("kept")
        for name in (self.bucket, self.kept):
            self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        super().__init__(folder, standin, callbacks=callbacks, AFTERWORD_RESULTS=f"s3://{self.kept}/results", **more)

    def versioned(self) -> None:
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    def put(self, *texts: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=KEY, Body=script(*texts))

    def delete(self) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=KEY)

    async def announced(self, *texts: str) -> RowId:
        """An object of these words, and the job that its notification makes."""
        self.put(*texts)
        pipeline = self.loaded.get("calls")
        assert pipeline is not None
        with amazon() as aws:
            recording = await described_object(aws, ObjectPlace(bucket=self.bucket, key=KEY), {})
            now = time.time()
            new = row(job(recording, pipeline, name="afterword", again=None, now=now), Lane.FRESH, now)
            async with opened_store(self.settings, aws) as store:
                await store.table.add(new)
        return new.id

    async def job(self, row_id: RowId) -> Job:
        with amazon() as aws:
            async with opened_store(self.settings, aws) as store:
                found = await store.jobs.get(row_id)
        assert found is not None
        return Job.model_validate(found.facts)

    async def told(self, count: int) -> Mapping[str, Mapping[str, Any]]:
        """What was heard of each job."""
        return {event["data"]["job_id"]: event["data"] for event in await self.heard(count)}

    async def retried(self, ops: str, row_id: RowId) -> None:
        async with httpx2.AsyncClient(base_url=ops) as client:

            async def sent() -> bool:
                return (await client.post(f"/api/jobs/{row_id}/retry")).is_success

            await until(sent)

    def words(self, data: Mapping[str, Any]) -> str:
        uri = data["files"]["transcript_txt"]
        stored = self.s3.get_object(Bucket=self.kept, Key=uri.removeprefix(f"s3://{self.kept}/"))
        return str(stored["Body"].read().decode())


@pytest.fixture
def yard(tmp_path: Path, standin: str, emulator: Emulator) -> Yard:
    return Yard(tmp_path, standin, emulator)


async def submitted(yard: Yard, count: int = 1) -> None:
    await eventually(lambda: totals(yard.standin)["submissions"] >= count)


async def test_an_object_is_lent_by_a_url_that_is_forgotten_once_it_was_sent(yard: Yard) -> None:
    made = await yard.announced(FIRST)
    async with yard.serving() as addresses, httpx2.AsyncClient(base_url=addresses.ops) as ops:
        told = await yard.told(1)
        shown = (await ops.get(f"/api/jobs/{made}")).text
    assert told[made]["outcome"] == "complete"
    assert FIRST in yard.words(told[made])
    (submission,) = ledger(yard.standin)["submissions"]
    assert f"x-afterword-job={made}" in submission["audio_url"]
    facts = await yard.job(made)
    assert facts.intent is not None
    assert facts.intent.audio_url == submission["audio_url"].partition("?")[0]
    assert "Signature" not in shown
    assert ledger(yard.standin)["calls"].get("upload", 0) == 0


async def test_what_is_overwritten_before_its_turn_is_told_and_what_took_its_place_is_done(yard: Yard) -> None:
    first, second = await yard.announced(FIRST), await yard.announced(SECOND)
    async with yard.serving():
        told = await yard.told(2)
    assert told[first]["error"]["code"] == "recording_replaced"
    assert told[first]["transcript"] is None
    assert SECOND in yard.words(told[second])
    assert totals(yard.standin)["transcripts_billed"] == 1


async def test_what_is_overwritten_before_the_vendor_came_for_it_is_told_and_its_words_are_nobodys(
    tmp_path: Path, emulator: Emulator
) -> None:
    with running(replace(QUICK, queue_seconds=0.5, gateway_limit=100_000)) as standin:
        yard = Yard(tmp_path, standin, emulator)
        first = await yard.announced(FIRST)
        async with yard.serving() as addresses:
            await submitted(yard)
            second = await yard.announced(SECOND)
            told = await yard.told(2)
            assert told[first]["error"]["code"] == "recording_replaced"
            assert told[first]["transcript"]["id"]
            assert "transcript_txt" not in told[first]["files"]
            assert SECOND in yard.words(told[second])
            # Put back as it was, it is still not known to be what was transcribed: it is transcribed anew.
            yard.put(FIRST)
            await yard.retried(addresses.ops, first)
            told = await yard.told(3)
        assert told[first]["outcome"] == "complete"
        assert FIRST in yard.words(told[first])
        assert totals(standin)["submissions"] == 3


async def test_with_versions_each_job_has_the_words_of_its_own(tmp_path: Path, emulator: Emulator) -> None:
    with running(replace(QUICK, queue_seconds=0.5, gateway_limit=100_000)) as standin:
        yard = Yard(tmp_path, standin, emulator)
        yard.versioned()
        zeroth, first = await yard.announced("Long ago."), await yard.announced(FIRST)
        async with yard.serving():
            await submitted(yard, 2)
            second = await yard.announced(SECOND)
            yard.delete()
            told = await yard.told(3)
    for made, words in ((zeroth, "Long ago."), (first, FIRST), (second, SECOND)):
        assert told[made]["outcome"] == "complete"
        assert words in yard.words(told[made])


async def test_what_is_gone_before_its_transcript_is_done_proves_nothing(yard: Yard) -> None:
    set_faults(yard.standin, {"on": "read", "do": "status", "status": 503, "times": 1})
    made = await yard.announced(FIRST)
    async with yard.serving():
        await eventually(lambda: totals(yard.standin)["transcripts_billed"] == 1)
        yard.delete()
        told = await yard.told(1)
    assert told[made]["error"]["code"] == "recording_missing"
    assert "nothing proves any more" in told[made]["error"]["message"]


async def test_a_url_that_has_died_is_made_anew(yard: Yard) -> None:
    set_faults(yard.standin, {"do": "fail", "error": "Download error, unable to access file.", "times": 1})
    made = await yard.announced(FIRST)
    async with yard.serving():
        told = await yard.told(1)
    assert told[made]["outcome"] == "complete"
    assert totals(yard.standin)["submissions"] == 2


async def test_a_submission_whose_answer_was_lost_is_found_by_its_url_alone(
    tmp_path: Path, standin: str, emulator: Emulator
) -> None:
    yard = Yard(tmp_path, standin, emulator, callbacks=False)
    set_faults(standin, {"on": "submit", "do": "lose_answer", "times": 1})
    made = await yard.announced(FIRST)
    async with yard.serving():
        told = await yard.told(1)
    assert told[made]["outcome"] == "complete"
    assert totals(standin)["submissions"] == 1


async def test_where_that_is_asked_for_the_bytes_come_from_us_and_need_no_other_proof(
    tmp_path: Path, standin: str, emulator: Emulator
) -> None:
    yard = Yard(tmp_path, standin, emulator, AFTERWORD_AUDIO="upload")
    set_faults(standin, {"on": "read", "do": "status", "status": 503, "times": 1})
    made = await yard.announced(FIRST)
    async with yard.serving():
        await submitted(yard)
        yard.delete()
        told = await yard.told(1)
    assert told[made]["outcome"] == "complete"
    assert FIRST in yard.words(told[made])
    assert ledger(standin)["calls"]["upload"] == 1
