"""What nobody can prove is left to a person, and what was announced is what is submitted."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from service.adapters.jobs.sqlite_listing import SqliteJobs
from service.domain.job import Status
from service.engine.row import Lane, Row
from service.ports.store import Count
from service.stages.drop import job, row
from service.stages.submit import BACKFILL_AT_VENDOR
from service.wiring import described
from tests.premises import Premises, eventually, until
from tests.standin import ledger, script, set_faults, totals

pytestmark = pytest.mark.anyio


async def made(premises: Premises, key: str, lane: Lane = Lane.FRESH, pipeline: str = "calls") -> Row:
    """The row of a recording that has just been dropped, not yet in the store."""
    path = premises.drop("one.wav", "What is said does not matter.")
    loaded = premises.loaded.get("calls")
    assert loaded is not None
    named = loaded.model_copy(update={"name": pipeline})
    recording, now = await described(path, key, {}), time.time()
    return row(job(recording, named, name="afterword", again=None, now=now), lane, now)


async def test_a_submission_that_nothing_can_prove_waits_for_a_person(tmp_path: Path, standin: str) -> None:
    premises = Premises(tmp_path, standin, callbacks=False)
    set_faults(standin, {"on": "submit", "do": "lose_answer", "times": 1})
    async with premises.serving() as addresses, httpx2.AsyncClient() as client:
        target = {"target": "http://127.0.0.1:9/nobody/listens.wav"}
        made = (await client.post(f"{addresses.ops}/api/jobs", json=target)).json()
        (event,) = await premises.heard(1)
        assert event["data"]["error"]["code"] == "submission_in_doubt"
        assert len(ledger(standin)["submissions"]) == 1
        again = f"{addresses.ops}/api/jobs/{made['job_id']}/retry"

        async def retried() -> bool:
            return (await client.post(again)).is_success

        await until(retried)
        await premises.heard(2)
    assert len(ledger(standin)["submissions"]) == 2


async def test_a_file_that_grows_while_it_is_uploaded_is_taken_once_it_is_whole(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "upload", "do": "status", "status": 503, "times": 1})
    async with premises.serving():
        path = premises.drop("one.wav", "This is the beginning.")
        await eventually(lambda: ledger(premises.standin)["calls"].get("upload", 0) >= 1)
        with path.open("ab") as file:
            file.write(b" " * 10)
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"
    assert event["data"]["recording"]["size"] == path.stat().st_size
    assert len(premises.events()) == 1
    assert totals(premises.standin)["transcripts_billed"] == 1


async def test_a_file_that_was_replaced_before_its_turn_is_told_and_the_new_one_is_done(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "upload", "do": "status", "status": 503, "times": 1})
    async with premises.serving():
        path = premises.drop("one.wav", "The first words, which are many.")
        await eventually(lambda: ledger(premises.standin)["calls"].get("upload", 0) >= 1)
        other = premises.folder / "other.wav"
        other.write_bytes(script("Others."))
        long_ago = time.time() - 3600
        os.utime(other, (long_ago, long_ago))
        other.rename(path)
        events = await premises.heard(2)
    outcomes = {event["data"]["recording"]["size"]: event["data"] for event in events}
    assert outcomes[path.stat().st_size]["outcome"] == "complete"
    assert {data["error"]["code"] for data in outcomes.values() if data["outcome"] == "failed"} == {
        "recording_replaced"
    }
    assert totals(premises.standin)["transcripts_billed"] == 1


async def test_backfill_leaves_room_at_the_vendor_and_fresh_recordings_pass_it(premises: Premises) -> None:
    new = await made(premises, "elsewhere/one.wav", Lane.BACKFILL)
    async with premises.store() as store:
        for number in range(BACKFILL_AT_VENDOR):
            later = time.time() + 3600
            there = replace(new, id=type(new.id)(f"there_{number}"), status=Status.SUBMITTED.value, due_at=later)
            await store.table.add(there)
        await store.table.add(new)
    async with premises.serving():
        (event,) = await premises.heard(1)
        async with premises.store() as store:
            waiting = await store.jobs.get(new.id)
    assert event["data"]["recording"]["key"] == "one.wav"
    assert waiting is not None
    assert (waiting.status, waiting.facts.get("trouble")) == (Status.RECEIVED, None)
    assert totals(premises.standin)["transcripts_billed"] == 1


async def test_backfill_leaves_room_at_the_vendor_though_a_count_is_old(
    premises: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = [await made(premises, f"elsewhere/{number}.wav", Lane.BACKFILL) for number in range(4)]
    long_ago = Count(
        status=Status.SUBMITTED.value, lane="backfill", rows=BACKFILL_AT_VENDOR - 2, due=0, parked=0, oldest_due_at=None
    )

    async def kept(_: SqliteJobs) -> Sequence[Count]:
        return [long_ago]

    monkeypatch.setattr(SqliteJobs, "counts", kept)
    async with premises.store() as store:
        for each in new:
            await store.table.add(each)

        async def rest() -> bool:
            rows = [await store.jobs.get(each.id) for each in new]
            return sum(row is not None and (row.due_at is None or row.due_at > time.time() + 1) for row in rows) == 4

        async with premises.serving():
            # Of these, and of the fresh one that lies in the inbox.
            await premises.heard(2 + 1)
            await until(rest)
    assert len(ledger(premises.standin)["submissions"]) == 2 + 1


async def test_a_job_that_ten_workers_in_a_row_came_no_further_with_ends_as_failed(premises: Premises) -> None:
    new = await made(premises, "one.wav")
    async with premises.store() as store:
        await store.table.add(replace(new, claims=9))
    async with premises.serving():
        (event,) = await premises.heard(1)
    assert event["data"]["error"]["code"] == "crashes_worker"
    assert ledger(premises.standin)["submissions"] == []


async def test_a_job_whose_pipeline_is_gone_is_told_not_guessed(premises: Premises) -> None:
    new = await made(premises, "one.wav", pipeline="gone")
    async with premises.store() as store:
        await store.table.add(new)
    async with premises.serving():
        (event,) = await premises.heard(1)
    assert event["data"]["error"]["code"] == "pipeline_missing"
    assert event["source"] == "/afterword/gone"
