"""SIGTERM in the middle of the work: out within the grace time, nothing leased, and the next start goes on at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from service.domain.tokens import HEADER, token
from service.ports.places import Take
from tests.longrun.processes import Process, audit, calls, eventually, rows
from tests.premises import SECRET, Premises, until
from tests.standin import clear_faults, set_faults

JOBS = 50
GRACE = 3.0
LEASE = 60.0
"""Longer than the test waits for anything: whoever waited for a lease to run out would be late."""


def test_stopped_in_the_middle_of_fifty_analyses(tmp_path: Path, standin: str) -> None:
    premises = Premises(tmp_path, standin, AFTERWORD_LEASE=str(LEASE), AFTERWORD_SHUTDOWN_GRACE=str(GRACE))
    with Process(premises, "first") as first:
        # The first answer tells how much the model takes; only then are fifty asked at a time.
        premises.drop("before.wav", "This one is through.")
        eventually(lambda: len(premises.events()) == 1)
        set_faults(standin, {"on": "ask", "do": "slow", "seconds": 60.0, "match": {"contains": "Name the mood"}})
        for number in range(JOBS):
            premises.drop(f"{number}.wav", f"Caller {number} speaks.", "And is answered.")
        eventually(lambda: len(premises.files("answers/*.json")) == 3 + 2 * JOBS)
        eventually(lambda: calls(standin, "ask") == 3 + 3 * JOBS)
        code, seconds = first.stop()
    assert code == 0
    assert seconds <= GRACE
    standing = rows(premises)
    assert [row.status for row in standing.values()].count("transcribed") == JOBS
    assert {row.lease_until for row in standing.values()} == {0.0}
    clear_faults(standin)
    began = time.monotonic()
    with Process(premises, "second"):
        eventually(lambda: len(premises.events()) == JOBS + 1, within=LEASE / 3)
    assert time.monotonic() - began < LEASE / 3
    # What had been answered was not asked again: of each job only the answer that was in flight.
    assert calls(standin, "ask") == 3 + 3 * JOBS + JOBS
    audit(premises, JOBS + 1)


def test_while_it_stops_a_callback_is_sent_away_to_come_again(tmp_path: Path, standin: str) -> None:
    premises = Premises(tmp_path, standin, AFTERWORD_SHUTDOWN_GRACE="6")
    set_faults(standin, {"on": "ask", "do": "slow", "seconds": 1.0, "times": 2})
    with Process(premises) as service:
        premises.drop("one.wav", "An answer is waited for.")
        eventually(lambda: calls(standin, "ask") == 2)
        job = rows(premises)["one.wav"]
        service.popen.terminate()
        eventually(lambda: service.lines("service.stopping"))
        answer = httpx2.post(
            f"http://127.0.0.1:{premises.port}/callbacks/{job.id}",
            json={"transcript_id": job.subject, "status": "completed"},
            headers={HEADER: token(SECRET, job.id)},
        )
        assert answer.status_code == 503
        assert httpx2.get(f"http://127.0.0.1:{premises.port}/readyz").status_code == 503
        assert service.popen.wait(30) == 0
    assert rows(premises)["one.wav"].lease_until == 0.0
    with Process(premises):
        eventually(premises.events)
    audit(premises, 1)


class Lingering:
    """An intake that, asked to stop, ends only when something else has happened."""

    def __init__(self, ends: Callable[[], Awaitable[bool]]) -> None:
        self._ends = ends

    async def watch(self, _take: Take) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await until(self._ends)


@pytest.mark.anyio
async def test_the_workers_do_not_wait_for_the_intake_to_end(
    premises: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stopping() -> bool:
        async with httpx2.AsyncClient() as client:
            return (await client.get(f"http://127.0.0.1:{premises.port}/readyz")).status_code == 503

    monkeypatch.setattr("service.serve.drops", lambda *_: Lingering(stopping))
    async with asyncio.timeout(30), premises.serving():
        assert not await stopping()
