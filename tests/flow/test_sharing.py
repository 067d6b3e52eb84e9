"""Two processes of the service on the same files: they share the work and do nothing twice."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.longrun.processes import Process, audit, beside, eventually
from tests.premises import Premises
from tests.standin import QUICK, running

JOBS = 40


@pytest.fixture
def slow() -> Iterator[str]:
    """A vendor whose answers take long enough for either process to look for work meanwhile, once a second."""
    with running(replace(QUICK, gateway_limit=100_000, answer_seconds=0.2)) as url:
        yield url


def test_two_processes_share_store_and_inbox_and_do_nothing_twice(tmp_path: Path, slow: str) -> None:
    # So few places that neither can take everything by itself.
    premises = Premises(tmp_path, slow, AFTERWORD_CONCURRENCY="4", AFTERWORD_LOG_LEVEL="debug")
    for number in range(JOBS // 2):
        premises.drop(f"before/{number}.wav", f"Number {number} was there before.")
    with Process(premises, "first") as first, Process(premises, "second", beside(premises)) as second:
        for number in range(JOBS // 2):
            premises.drop(f"after/{number}.wav", f"Number {number} came later.")
        eventually(lambda: len(premises.events()) >= JOBS)
    received = [{line["key"] for line in process.lines("drop.received")} for process in (first, second)]
    told = [len(process.lines("job.published")) for process in (first, second)]
    # Both watched the inbox; whoever came first made the job, and only one did.
    assert len(received[0]) + len(received[1]) == len(received[0] | received[1]) == JOBS
    assert sum(told) == JOBS
    assert all(told), "one of them did all the work"
    found = audit(premises, JOBS)
    assert len(found["uploads"]) == JOBS
