"""Runs of a job on AWS: told in their order, forgotten in time, and lent to the vendor anew where a URL died."""

import time
from pathlib import Path

import httpx2
import pytest
from botocore.retries.standard import ExponentialBackoff

from service.adapters.jobs.dynamodb_schema import EXPIRES_AT
from service.stages import callback
from tests.cloud import Cloud
from tests.emulator import Emulator, Faulty
from tests.premises import until
from tests.standin import clear_faults, ledger, set_faults, totals

pytestmark = pytest.mark.anyio

DAY = 86_400


async def test_a_fifo_topic_tells_each_run_once_and_in_order_and_only_what_ended_is_forgotten(
    tmp_path: Path, standin: str, emulator: Emulator, faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", emulator.url)
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda _, __: 0.01)
    cloud = Cloud(tmp_path, standin, emulator, fifo=True, AFTERWORD_KEEP_JOBS="3d")
    # Nobody hears that an event arrived before it was sent for the fourth time: three times make one try of boto's.
    faulty.rules({"service": "sns", "sequence": {"fail": 3, "pass": 1}, "response": {"abort_frac": 0.0}})
    set_faults(standin, {"do": "fail", "error": "Audio file is corrupt"})
    made = [cloud.put(f"{name}.wav", f"This is {name}.") for name in "ab"]
    async with cloud.serving() as addresses, httpx2.AsyncClient(base_url=addresses.ops) as ops:
        await cloud.heard(len(made))
        await until(lambda: all_ended(cloud))
        for item in cloud.items():
            left = int(item[EXPIRES_AT]["N"]) - time.time()
            assert 3 * DAY - 60 < left <= 3 * DAY
        clear_faults(standin)
        # While it is at the vendor again, nothing may forget it.
        set_faults(standin, {"on": "submit", "do": "take", "seconds": 0.5})
        for job_id in made:
            (await ops.post(f"/api/jobs/{job_id}/retry")).raise_for_status()
        assert not [item for item in cloud.items() if EXPIRES_AT in item]
        await cloud.heard(2 * len(made))
        await until(lambda: all_ended(cloud))
    assert all(EXPIRES_AT in item for item in cloud.items())
    assert len(faulty.fired()) >= 3 * len(made)
    assert len(cloud.deliveries) == 2 * len(made)
    for job_id in made:
        told = [event["data"] for event in cloud.events() if event["data"]["job_id"] == job_id]
        assert [(data["run"], data["outcome"]) for data in told] == [(1, "failed"), (2, "complete")]


async def test_a_url_that_dies_again_and_again_is_made_anew_three_times_and_nothing_is_billed(
    tmp_path: Path, standin: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback, "FIRST_RESUBMISSION", 0.3)
    monkeypatch.setattr(callback, "FURTHER_RESUBMISSIONS", 1.5)
    cloud = Cloud(tmp_path, standin, emulator)
    set_faults(standin, {"do": "fail", "error": "Download error, unable to access file. 403 Client Error: Forbidden"})
    made = cloud.put("a.wav", "This is a.")
    async with cloud.serving():
        (event,) = await cloud.heard(1)
    assert event["data"]["outcome"] == "failed"
    assert event["data"]["error"]["code"] == "transcription_failed"
    assert "Forbidden" in event["data"]["error"]["message"]
    lent = [each["audio_url"] for each in ledger(standin)["submissions"]]
    assert len(lent) == 1 + callback.RESUBMISSIONS == 4
    assert len(set(lent)) > 1
    assert all(f"x-afterword-job={made}" in url for url in lent)
    found = totals(standin)
    assert (found["transcripts_billed"], found["audio_seconds"], found["asks_billed"]) == (0, 0, 0)


async def all_ended(cloud: Cloud) -> bool:
    return all(row.ended for row in (await cloud.rows()).values())
