"""The main job on S3, SQS, DynamoDB and SNS."""

from pathlib import Path

import httpx2
import pytest

from tests.cloud import Cloud
from tests.emulator import Emulator, Faulty
from tests.premises import until
from tests.standin import ledger, totals


@pytest.fixture
def cloud(tmp_path: Path, standin: str, emulator: Emulator) -> Cloud:
    return Cloud(tmp_path, standin, emulator)


@pytest.mark.anyio
async def test_an_object_in_the_bucket_becomes_results_and_one_event(cloud: Cloud) -> None:
    cloud.put("calls/first call+1.wav", "Good morning.", "How can I help?", metadata={"Agent": "Ada"})
    async with cloud.serving():
        (event,) = await cloud.heard(1)
    data = event["data"]
    assert event["subject"] == f"s3://{cloud.recordings}/calls/first call+1.wav"
    assert data["outcome"] == "complete"
    assert data["recording"]["metadata"] == {"agent": "Ada"}
    assert sorted(data["answers"]) == ["mood", "next-steps", "summary"]
    assert len(cloud.keys("/answers/")) == 3
    assert totals(cloud.standin)["transcripts_billed"] == 1
    assert cloud.deliveries == [cloud.deliveries[0]]


@pytest.mark.anyio
async def test_with_a_clock_that_is_not_dynamodbs_nothing_is_claimed_and_the_replica_is_not_ready(
    cloud: Cloud, faulty: Faulty, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A signed URL holds for the host that it names.
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", emulator.url)
    faulty.rules({"service": "dynamodb", "response": {"set_headers": {"Date": "Sun, 06 Nov 1994 08:49:37 GMT"}}})
    cloud.put("calls/early.wav", "Good morning.", "How can I help?")
    async with cloud.serving() as addresses, httpx2.AsyncClient() as client:
        await until(lambda: dropped(cloud))
        assert (await client.get(f"{addresses.public}/readyz")).status_code == 503
        assert (await client.get(f"{addresses.public}/healthz")).status_code == 200
        assert ledger(cloud.standin)["calls"].get("submit", 0) == 0
        faulty.clear()
        await cloud.heard(1)


async def dropped(cloud: Cloud) -> bool:
    return bool(await cloud.rows())
