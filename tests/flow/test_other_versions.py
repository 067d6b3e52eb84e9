"""What another version wrote is left as it is until somebody understands it; long waits change nothing about that."""

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.premises import Premises, eventually, until
from tests.standin import set_faults

pytestmark = pytest.mark.anyio


def rewritten(premises: Premises, change: Callable[[dict[str, Any]], object], **columns: object) -> None:
    """Change the facts of the one job, as another process would."""
    with closing(sqlite3.connect(premises.folder / "jobs.db", timeout=10.0)) as store, store:
        facts = json.loads(store.execute("SELECT facts FROM job").fetchone()[0])
        change(facts)
        store.execute("UPDATE job SET facts = ?, due_at = ?, claimable_at = 0", (json.dumps(facts), time.time()))
        for name, value in columns.items():
            store.execute(f"UPDATE job SET {name} = ?", (value,))


async def left_alone(premises: Premises) -> bool:
    (row,) = (await premises.rows()).values()
    return row.claims == 0 and not row.lease_until and row.due_at is not None and row.due_at > time.time() + 30


async def submitted(premises: Premises) -> bool:
    return any(row.status == "submitted" and not row.lease_until for row in (await premises.rows()).values())


async def test_a_job_with_facts_that_a_newer_version_wrote_is_neither_ended_nor_counted_against(
    tmp_path: Path, standin: str
) -> None:
    premises = Premises(tmp_path, standin, callbacks=False)
    async with premises.serving():
        premises.drop("one.wav", "Written by two versions.")
        await until(lambda: submitted(premises))
    rewritten(premises, lambda facts: facts.update(novelty="unheard of"), claims=9)
    async with premises.serving():
        await until(lambda: left_alone(premises))
        (row,) = (await premises.rows()).values()
        assert (row.status, row.facts["novelty"]) == ("submitted", "unheard of")
        assert premises.events() == []
    rewritten(premises, lambda facts: facts.pop("novelty"))
    async with premises.serving():
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"


async def test_a_transcript_looked_at_a_thousand_times_is_looked_at_again(tmp_path: Path, standin: str) -> None:
    premises = Premises(tmp_path, standin, callbacks=False)
    set_faults(standin, {"on": "submit", "do": "stuck"})
    async with premises.serving():
        premises.drop("one.wav", "In a queue for a day.")
        await until(lambda: submitted(premises))
    rewritten(premises, lambda facts: facts.update(looks=2_000))
    async with premises.serving():

        async def looked() -> bool:
            (row,) = (await premises.rows()).values()
            return row.facts["looks"] == 2_001 and row.claims == 0  # type: ignore[comparison-overlap]

        await until(looked)
    await eventually(lambda: premises.events() == [])
