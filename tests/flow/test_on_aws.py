"""The main job on S3, SQS, DynamoDB and SNS."""

from pathlib import Path

import pytest

from tests.cloud import Cloud
from tests.emulator import Emulator
from tests.standin import totals


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
