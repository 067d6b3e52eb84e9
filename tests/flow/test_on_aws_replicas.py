"""Replicas on AWS's engines: they share the work, hand back what they hold, and live with answers that get lost."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.retries.standard import ExponentialBackoff

from tests.cloud import Cloud
from tests.emulator import Emulator, Faulty
from tests.longrun.processes import beside
from tests.premises import eventually, until
from tests.standin import QUICK, ledger, running, totals

pytestmark = pytest.mark.anyio

LEASE = 30.0
"""Seconds for which a killed replica's jobs, and its messages, would be nobody's."""


@pytest.fixture
def trouble(faulty: Faulty, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Faulty:
    """The proxy, which S3 is asked past: what is signed for the proxy is not signed for what stands behind it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", emulator.url)
    # How long botocore pauses is not what is asked here.
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda _, __: 0.01)
    return faulty


class Replica(Cloud):
    """Another replica on the same engines."""

    def __init__(self, first: Cloud) -> None:
        self.__dict__ |= vars(first)
        self.environment = {**first.environment, **beside(first)}


async def test_what_one_replica_holds_when_it_stops_another_takes_up_at_once(
    tmp_path: Path, emulator: Emulator
) -> None:
    with running(replace(QUICK, gateway_limit=100_000, answer_seconds=0.6)) as standin:
        cloud = Cloud(
            tmp_path,
            standin,
            emulator,
            AFTERWORD_LEASE=str(LEASE),
            AFTERWORD_SHUTDOWN_GRACE="1",
            AFTERWORD_CONCURRENCY="8",
        )
        jobs = 8
        for number in range(jobs):
            cloud.put(f"{number}.wav", f"This is number {number}.")
        async with cloud.serving():
            async with Replica(cloud).serving():
                await eventually(lambda: ledger(standin)["calls"].get("ask", 0) >= 4)
                began = time.monotonic()
            assert time.monotonic() - began < 4
            await cloud.heard(jobs)
        assert time.monotonic() - began < LEASE - 5
        rows = await cloud.rows()
        found = totals(standin)
    assert len(cloud.deliveries) == jobs
    assert all(row.ended and not row.lease_until for row in rows.values())
    assert found["submissions"] == found["transcripts_billed"] == jobs
    assert 3 * jobs <= found["asks_billed"] <= 3 * jobs + jobs


async def test_messages_in_hand_are_handed_back(
    tmp_path: Path, standin: str, emulator: Emulator, trouble: Faulty
) -> None:
    cloud = Cloud(tmp_path, standin, emulator)
    for number in range(3):
        cloud.put(f"{number}.wav", f"This is number {number}.")
    trouble.rules(
        {"service": "dynamodb", "operation": "PutItem", "error": {"code": "InternalServerError", "status": 500}}
    )
    async with cloud.serving():
        # Each has been tried, and is kept in hand to be tried again.
        await eventually(lambda: len(trouble.fired()) >= 3)
    assert cloud.waiting()[1] == 0
    assert not cloud.items()
    trouble.clear()
    began = time.monotonic()
    async with cloud.serving():
        await cloud.heard(3)
    assert time.monotonic() - began < LEASE / 2
    assert totals(standin)["transcripts_billed"] == 3


async def test_with_each_acknowledgement_lost_once_the_books_are_those_of_one_machine(
    tmp_path: Path, standin: str, emulator: Emulator, trouble: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where nothing is presigned, S3 too is asked through the proxy.
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    cloud = Cloud(tmp_path, standin, emulator, AFTERWORD_AUDIO="upload")
    lost = {"response": {"abort_frac": 0.0}}
    # Every second call is carried out and not answered: whatever is written, is written again.
    every_other = {"sequence": {"fail": 1, "pass": 1}, **lost}
    trouble.rules(
        *(
            {"service": "dynamodb", "operation": operation, **every_other}
            for operation in ("PutItem", "UpdateItem", "TransactWriteItems", "DeleteItem", "BatchExecuteStatement")
        ),
        {"service": "s3", "operation": "PutObject", **every_other},
        {"service": "sns", "operation": "Publish", **every_other},
        {"service": "sqs", "operation": "DeleteMessageBatch", "times": 1, **lost},
    )
    jobs = 3
    for number in range(jobs):
        cloud.put(f"{number}.wav", f"This is number {number}.")
    async with cloud.serving():
        await cloud.heard(jobs)
        await until(lambda: ended(cloud))
    fired = {each["operation"] for each in trouble.fired()}
    assert {"PutItem", "UpdateItem", "PutObject", "Publish", "DeleteMessageBatch"} <= fired
    trouble.clear()
    rows = await cloud.rows()
    found = totals(standin)
    assert len(cloud.events()) == len(rows) == jobs
    # What was told again is told in the same words.
    assert len(set(cloud.deliveries)) == jobs
    assert found["submissions"] == found["transcripts_billed"] == jobs
    assert found["asks_billed"] == 3 * jobs
    assert len(cloud.keys("/result.json")) == jobs


async def ended(cloud: Cloud) -> bool:
    return all(row.ended for row in (await cloud.rows()).values())
