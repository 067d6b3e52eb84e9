"""Callbacks while DynamoDB fails: 503 in time and never a 4xx, 204 only for what is stored, and nothing is lost."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from service.domain.tokens import HEADER, token
from service.engine.row import Row
from service.serve import Addresses
from tests.cloud import Cloud
from tests.emulator import Emulator, Faulty
from tests.premises import SECRET, eventually, until
from tests.standin import set_faults, totals

pytestmark = pytest.mark.anyio

PATIENCE: Final = 10.0
"""Seconds that the vendor waits for an answer (vendor API reference)."""
LOST: Final = {"response": {"abort_frac": 0.0}}
EVERYTHING: Final[Mapping[str, Mapping[str, Any]]] = {
    "throttled": {"error": {"code": "ProvisionedThroughputExceededException"}},
    "broken": {"error": {"code": "InternalServerError", "status": 500}},
    "reset": {"reset": True},
    "unacknowledged": LOST,
    "hanging": {"latency": 5_000},
    "truncated": {"response": {"truncate_frac": 0.5}},
    "denied": {"error": {"code": "AccessDeniedException", "status": 400}},
}
ONCE: Final = {"stored, and acknowledged when tried again": {"operation": "UpdateItem", "times": 1, **LOST}}
"""The second try fails by the first one's doing, which is known for ours."""


async def test_with_the_store_failing_in_any_way_only_503_is_answered_and_the_sweeper_completes_the_jobs(
    tmp_path: Path, standin: str, emulator: Emulator, faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is signed for the proxy's address is not signed for the one that it passes it on to.
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", emulator.url)
    cloud = Cloud(tmp_path, standin, emulator, AFTERWORD_RECONCILE_AFTER="2")
    set_faults(standin, {"on": "webhook", "do": "lose"})
    ways = {**ONCE, **EVERYTHING}
    for way in ways:
        cloud.put(f"{way}.wav", f"This one was {way}.")
    async with cloud.serving() as addresses:
        rows: Mapping[str, Row] = {}

        async def submitted() -> bool:
            nonlocal rows
            rows = await cloud.rows()
            return len(rows) == len(ways) and all(row.subject for row in rows.values())

        await until(submitted)
        # Each job's calls fail in a way of its own, so that all ways can be tried at once.
        faulty.rules(
            *({"service": "dynamodb", "body": about(rows[f"{way}.wav"]), **fault} for way, fault in ways.items())
        )
        answers = await called_back(addresses, {way: rows[f"{way}.wav"] for way in ways})
        assert {way: status for way, (status, _) in answers.items()} == dict.fromkeys(EVERYTHING, 503) | dict.fromkeys(
            ONCE, 204
        )
        assert max(seconds for _, seconds in answers.values()) < PATIENCE
        counted = {key.removesuffix(".wav"): row.callbacks for key, row in (await straight(cloud, emulator)).items()}
        assert counted["throttled"] == counted["broken"] == counted["reset"] == counted["denied"] == 0
        assert counted["stored, and acknowledged when tried again"] == 1
        await eventually(lambda: totals(standin)["asks_billed"] == 3)
        faulty.clear()
        events = await cloud.heard(len(ways))
    assert {event["data"]["outcome"] for event in events} == {"complete"}
    assert len(cloud.deliveries) == len(ways)
    found = totals(standin)
    assert found["submissions"] == found["transcripts_billed"] == len(ways)
    assert found["asks_billed"] == 3 * len(ways)


def about(row: Row) -> str:
    """What picks the calls about this job, by JMESPath."""
    return f"contains(to_string(@), '{row.id}')"


async def called_back(addresses: Addresses, rows: Mapping[str, Row]) -> Mapping[str, tuple[int, float]]:
    """The status that each job's genuine callback is answered with, and after how many seconds."""
    async with httpx2.AsyncClient(base_url=addresses.public, timeout=30) as client:

        async def one(number: int, row: Row) -> tuple[int, float]:
            # What arrives together is written together, and would fail together.
            await asyncio.sleep(number * 0.02)
            began = time.monotonic()
            body = {"transcript_id": row.subject, "status": "completed"}
            answer = await client.post(f"/callbacks/{row.id}", json=body, headers={HEADER: token(SECRET, row.id)})
            return answer.status_code, time.monotonic() - began

        given = await asyncio.gather(*(one(number, row) for number, row in enumerate(rows.values())))
    return dict(zip(rows, given, strict=True))


async def straight(cloud: Cloud, emulator: Emulator) -> Mapping[str, Row]:
    """The jobs as they stand, whatever fails between them and the service."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", emulator.url)
        return await cloud.rows()
