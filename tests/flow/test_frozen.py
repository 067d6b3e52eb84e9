"""A worker that is frozen past its lease and woken after another took over: it must not save, tell or pay any more."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.longrun.processes import Process, audit, beside, calls, eventually, rows
from tests.premises import Premises
from tests.standin import ledger, set_faults

LEASE = 2.0
TRIES = 20


@pytest.fixture
def shared(tmp_path: Path, standin: str) -> Premises:
    return Premises(tmp_path, standin, AFTERWORD_LEASE=str(LEASE))


@dataclass(frozen=True)
class Store:
    """The job store as another process may hold it: nobody writes while `locked`."""

    connection: sqlite3.Connection

    def lock(self) -> None:
        while True:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                continue
            return

    def release(self) -> None:
        self.connection.execute("COMMIT")

    def lock_after(self, key: str, wanted: Callable[[str, dict[str, object]], bool], within: float = 20.0) -> bool:
        """Lock it between the save that makes this recording's row as wanted and the renewal that must follow.

        Without a renewal the service may do nothing that costs or tells. False if it was in before us: it leaves the
        file free for a millisecond after each commit, and that is long for a loop that does nothing but wait for it.
        """
        ends = time.monotonic() + within
        while time.monotonic() < ends:
            self.lock()
            row = self.connection.execute(
                "SELECT status, facts, lease_until - ? < updated_at FROM job WHERE facts ->> '$.recording.key' = ?",
                (LEASE, key),
            ).fetchone()
            if row is not None and wanted(row[0], json.loads(row[1])) and row[2]:
                return True
            self.release()
            if row is not None and row[0] == "published":
                return False
        raise AssertionError("the row never came to be as wanted")


@pytest.fixture
def store(shared: Premises) -> Iterator[Callable[[], Store]]:
    opened: list[sqlite3.Connection] = []

    def open_it() -> Store:
        opened.append(sqlite3.connect(shared.folder / "jobs.db", isolation_level=None, timeout=0.0))
        return Store(opened[-1])

    yield open_it
    for connection in opened:
        connection.close()


def taken_over(shared: Premises, frozen: Process, other: Process, events: int = 1) -> None:
    """The other process finishes what the frozen one had; then that one wakes, and has had time to do harm."""
    eventually(lambda: len(shared.events()) >= events)
    eventually(lambda: all(row.ended for row in rows(shared).values()))
    before = {key: (row.token, row.updated_at, row.facts) for key, row in rows(shared).items()}
    told, paid = (shared.folder / "events.jsonl").read_bytes(), ledger(shared.standin)
    frozen.thaw()
    eventually(lambda: frozen.lines("job.lease_lost"))
    # Still of use: it is stopped in the ordinary way, and whatever it had in hand has come to its end by then.
    assert frozen.stop()[0] == 0
    assert {key: (row.token, row.updated_at, row.facts) for key, row in rows(shared).items()} == before
    assert (shared.folder / "events.jsonl").read_bytes() == told
    after = ledger(shared.standin)
    assert (after["submissions"], after["asks"]) == (paid["submissions"], paid["asks"])


def test_frozen_while_uploading(shared: Premises) -> None:
    set_faults(shared.standin, {"on": "upload", "do": "slow", "seconds": 1.5, "after": True, "times": 1})
    with Process(shared, "first") as first:
        shared.drop("one.wav", "Hold on, please.")
        eventually(lambda: len(ledger(shared.standin)["uploads"]) == 1)
        first.freeze()
        with Process(shared, "second", beside(shared)) as second:
            taken_over(shared, first, second)
    assert len(audit(shared, 1)["uploads"]) == 2


def held_up(shared: Premises, held: Store, wanted: Callable[[str, dict[str, object]], bool]) -> int:
    """Drop recordings until the service cannot renew the lease of one that is as wanted; how many that took."""
    for number in range(TRIES):
        shared.drop(f"{number}.wav", f"Number {number} will be held up.")
        if held.lock_after(f"{number}.wav", wanted):
            # Time to do harm, for a service that does not ask whether the lease is still its own.
            time.sleep(0.2)
            return number + 1
    raise AssertionError("this machine never let us in between")


def test_frozen_between_the_intent_and_the_submission(shared: Premises, store: Callable[[], Store]) -> None:
    with Process(shared, "first") as first:
        held = store()
        count = held_up(shared, held, lambda status, facts: status == "received" and bool(facts.get("intent")))
        first.freeze()
        assert calls(shared.standin, "submit") == count - 1, "submitted on a lease that was not renewed"
        held.release()
        with Process(shared, "second", beside(shared)) as second:
            taken_over(shared, first, second, count)
    audit(shared, count)


def test_frozen_between_two_answers(shared: Premises, store: Callable[[], Store]) -> None:
    set_faults(
        shared.standin,
        {"on": "ask", "do": "slow", "seconds": 1.0, "times": 2},
        {"on": "ask", "do": "slow", "seconds": 2.5, "match": {"contains": "what is next"}, "times": 1},
    )
    with Process(shared, "first") as first:
        shared.drop("one.wav", "Two questions are out.")
        eventually(lambda: calls(shared.standin, "ask") == 2)
        first.freeze()
        with Process(shared, "second", beside(shared)) as second:
            # The other one is at the last prompt: whoever woke now without looking at the lease would ask it too.
            eventually(lambda: calls(shared.standin, "ask") == 5)
            # It cannot find out for a while that its lease is lost, and must not ask before it knows.
            held = store()
            held.lock()
            first.thaw()
            time.sleep(0.7)
            assert calls(shared.standin, "ask") == 5
            held.release()
            eventually(lambda: first.lines("job.lease_lost"))
            assert len(first.lines("answer.stored")) == 0
            eventually(shared.events)
            assert calls(shared.standin, "ask") == 5
            assert first.stop()[0] == second.stop()[0] == 0
    audit(shared, 1, asked_again=2)


def test_frozen_between_the_verdict_and_the_event(shared: Premises, store: Callable[[], Store]) -> None:
    with Process(shared, "first") as first:
        held = store()
        count = held_up(shared, held, lambda status, _: status == "decided")
        first.freeze()
        held.release()
        assert len(shared.events()) == count - 1, "the event was told on a lease that was not renewed"
        with Process(shared, "second", beside(shared)) as second:
            taken_over(shared, first, second, count)
    audit(shared, count)
