"""An answer that was paid for is not asked for again because something of ours fails at that moment."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from tests.longrun.processes import calls
from tests.premises import Premises, eventually
from tests.standin import set_faults, totals

pytestmark = pytest.mark.anyio

AWAY = 3.0
"""Seconds; long enough for several tries."""


@pytest.mark.usefixtures("brisk")
async def test_answers_that_cannot_be_stored_are_kept_until_they_can(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "ask", "do": "slow", "seconds": 1.0, "times": 2})
    results, away = premises.folder / "results", premises.folder / "away"
    async with premises.serving():
        premises.drop("one.wav", "The kettle leaks.", "We send another one on Friday.")
        await eventually(lambda: calls(premises.standin, "ask") == 2)
        results.rename(away)
        results.write_bytes(b"a file stands where the results belong")
        await asyncio.sleep(AWAY)
        results.unlink()
        away.rename(results)
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"
    assert totals(premises.standin)["asks_billed"] == 3


async def test_a_locked_job_store_stops_one_prompt_and_not_those_that_are_being_answered(premises: Premises) -> None:
    set_faults(
        premises.standin,
        {"on": "ask", "do": "slow", "after": True, "seconds": 1.0, "match": {"contains": "Summarize"}},
        {"on": "ask", "do": "slow", "after": True, "seconds": 5.0, "match": {"contains": "Name the mood"}},
    )
    async with premises.serving():
        premises.drop("one.wav", "The kettle leaks.", "We send another one on Friday.")
        await eventually(lambda: calls(premises.standin, "ask") == 2)
        # The third prompt waits for the first one's answer, and then for the store: longer than it is waited for.
        with closing(sqlite3.connect(premises.folder / "jobs.db", isolation_level=None, timeout=5.0)) as locking:
            locking.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(4.0)
            locking.execute("ROLLBACK")
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"
    assert totals(premises.standin)["asks_billed"] == 3
