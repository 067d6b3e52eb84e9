"""Two processes of the service on the same files: they share the work and do nothing twice."""

from pathlib import Path

from tests.longrun.processes import Process, audit, beside, eventually
from tests.premises import Premises

JOBS = 40


def test_two_processes_share_store_and_inbox_and_do_nothing_twice(tmp_path: Path, standin: str) -> None:
    # So few places that neither can take everything by itself.
    premises = Premises(tmp_path, standin, AFTERWORD_CONCURRENCY="4", AFTERWORD_LOG_LEVEL="debug")
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
