"""SIGKILL at every boundary of the flow: started again, the job is finished, and nothing is paid or told twice."""

import asyncio
import fcntl
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.engine.row import Row
from tests.longrun.processes import Process, audit, calls, eventually, rows
from tests.premises import Premises
from tests.standin import ledger, set_faults, totals

SLOW = {"do": "slow", "seconds": 1.5, "times": 1}

LEASE = 2.0
ONCE = {"recordings": 1, "requests": 3}


class Moment:
    """When to kill: what the vendor is told to do beforehand, and what is then to be seen from outside."""

    def __init__(self, true: Callable[[Premises], object], *faults: dict[str, Any], again: int = 0) -> None:
        self.true = true
        self.faults = faults
        self.again = again
        """Answers that are in flight at that moment: these alone may be paid for again."""


def status(premises: Premises) -> str:
    return next((row.status for row in rows(premises).values()), "")


def booked(premises: Premises) -> Mapping[str, int]:
    """What the books say that was used, as far as it is counted in ones."""

    async def read() -> Mapping[str, int]:
        async with premises.store() as store:
            (entry, *none) = await store.books.month(datetime.now(tz=UTC).strftime("%Y-%m")) or [None]
            assert not none
            return entry.amounts if entry else {}

    found = asyncio.run(read())
    return {name: found[name] for name in ONCE if name in found}


def intended(premises: Premises) -> bool:
    return any(row.facts.get("intent") for row in rows(premises).values())


MOMENTS = {
    "received": Moment(lambda here: calls(here.standin, "upload") == 1, {"on": "upload", **SLOW}),
    "uploaded": Moment(
        lambda here: ledger(here.standin)["uploads"],
        {"on": "upload", "do": "slow", "after": True, "seconds": 1.5, "times": 1},
    ),
    "intent saved, not submitted": Moment(
        lambda here: calls(here.standin, "submit") == 1 and intended(here),
        {"on": "submit", "do": "reset", "times": 1},
    ),
    "submitted, answer not seen": Moment(
        lambda here: totals(here.standin)["submissions"] == 1,
        {"on": "submit", "do": "slow", "after": True, "seconds": 2.5, "times": 1},
        {"on": "webhook", "do": "lose"},
    ),
    "submitted": Moment(lambda here: status(here) == "submitted", {"on": "submit", "do": "take", "seconds": 2.0}),
    "transcribed": Moment(
        lambda here: calls(here.standin, "ask") == 2, {"on": "ask", "do": "slow", "seconds": 1.5, "times": 2}, again=2
    ),
    "some answers stored": Moment(
        lambda here: len(here.files("answers/*.json")) == 2 and calls(here.standin, "ask") == 3,
        {"on": "ask", **SLOW, "match": {"contains": "what is next"}},
        again=1,
    ),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
def test_killed_there_it_goes_on_there(tmp_path: Path, standin: str, moment: Moment) -> None:
    premises = Premises(tmp_path, standin, AFTERWORD_LEASE="2")
    set_faults(standin, *moment.faults)
    with Process(premises, "killed") as killed:
        premises.drop("one.wav", "What was begun is brought to its end.")
        eventually(lambda: moment.true(premises))
        killed.kill()
    assert premises.events() == []
    with Process(premises, "next"):
        eventually(premises.events)
    audit(premises, 1, asked_again=moment.again)


@pytest.mark.parametrize("begun", [False, True], ids=["result put", "event half written"])
def test_killed_while_it_tells_it_tells_the_same_once(tmp_path: Path, standin: str, begun: bool) -> None:
    premises = Premises(tmp_path, standin, AFTERWORD_LEASE="2")
    events = tmp_path / "events.jsonl"
    with events.open("ab") as file:
        # The service appends under this lock, and so stands between its result and its event.
        fcntl.flock(file, fcntl.LOCK_EX)
        with Process(premises, "killed") as killed:
            premises.drop("one.wav", "The result is there, the event is not.")
            eventually(lambda: premises.files("result.json"))
            killed.kill()
        result = premises.files("result.json")[0].read_bytes()
        assert status(premises) == "decided"
        if begun:
            file.write(b'{"specversion":"1.0","id":"cut off')
            file.flush()
    with Process(premises, "next"):
        eventually(lambda: status(premises) == "published")
    assert premises.files("result.json")[0].read_bytes() == result
    audit(premises, 1)
    assert booked(premises) == ONCE


def test_killed_after_the_event_it_tells_again_only_the_same(tmp_path: Path, standin: str) -> None:
    # Between the event and the end of the row lies the deletion at the vendor, which can be made to last.
    premises = Premises(tmp_path, standin, AFTERWORD_LEASE="2")
    pipelines = (tmp_path / "pipelines.toml").read_text()
    premises.pipelines(pipelines + "\n[pipelines.outputs]\nkeep_transcript = false\n")
    set_faults(standin, {"on": "delete", **SLOW})
    with Process(premises, "killed") as killed:
        premises.drop("one.wav", "Told, and not yet forgotten.")
        eventually(lambda: calls(standin, "delete") == 1)
        killed.kill()
    told = (tmp_path / "events.jsonl").read_bytes()
    assert len(premises.events()) == 1
    with Process(premises, "next"):
        eventually(lambda: status(premises) == "published")
    assert (tmp_path / "events.jsonl").read_bytes() == told
    audit(premises, 1)
    assert booked(premises) == ONCE


def decided(premises: Premises) -> list[Row]:
    return [row for row in rows(premises).values() if row.status == "decided"]


def test_killed_between_the_event_and_the_save_its_use_is_counted_once(tmp_path: Path, standin: str) -> None:
    premises = Premises(tmp_path, standin, AFTERWORD_LEASE=str(LEASE))
    with (tmp_path / "events.jsonl").open("ab") as file, Process(premises, "killed") as killed:
        fcntl.flock(file, fcntl.LOCK_EX)
        premises.drop("one.wav", "It is told, and nothing says so yet.")
        # The lease is renewed right before the event: with the store in our hands it can still be told, and not saved.
        eventually(lambda: any(row.lease_until - LEASE > row.updated_at for row in decided(premises)))
        with closing(sqlite3.connect(tmp_path / "jobs.db", isolation_level=None, timeout=5.0)) as locking:
            locking.execute("BEGIN IMMEDIATE")
            fcntl.flock(file, fcntl.LOCK_UN)
            eventually(premises.events)
            killed.kill()
            locking.execute("ROLLBACK")
    assert status(premises) == "decided"
    assert booked(premises) == {}
    with Process(premises, "next"):
        eventually(lambda: status(premises) == "published")
    assert len({event["id"] for event in premises.events()}) == 1
    assert booked(premises) == ONCE
