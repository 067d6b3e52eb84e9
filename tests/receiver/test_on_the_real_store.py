"""The receiver on the embedded job store, with the store broken in turn."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from service.adapters.jobs.sqlite import SqliteStore, open_store
from service.domain.job import STEPS, JobId, Status
from service.engine.row import Row, RowId
from tests.receiver.conftest import Public
from tests.receiver.loopback import serving

pytestmark = pytest.mark.anyio

TRANSCRIPT = b'{"transcript_id":"%s","status":"completed"}'


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opening = open_store(tmp_path / "jobs.db", steps=STEPS, lease=30.0, clock=time.time, random=Random(1))
    async with opening as store:
        now = time.time()
        row = Row(id=RowId("job_1"), status=Status.SUBMITTED, created_at=now, updated_at=now, due_at=now + 600)
        await store.table.add(row)
        yield store


@pytest.fixture
async def live(store: SqliteStore) -> AsyncIterator[Public]:
    public = Public()
    public.ears.call_back = store.table.call_back  # type: ignore[method-assign]
    async with serving(public.app()) as public.port:
        yield public


async def test_what_was_answered_is_in_the_file(live: Public, tmp_path: Path) -> None:
    assert [(await live.post(TRANSCRIPT % b"t-1")).status for _ in range(2)] == [204, 204]
    opening = open_store(tmp_path / "jobs.db", steps=STEPS, lease=30.0, clock=time.time, random=Random(1))
    async with opening as another:
        row = await another.jobs.get(RowId("job_1"))
    assert row is not None
    assert row.callbacks == 2
    assert row.due_at is not None
    assert row.due_at <= time.time()


async def test_of_an_unknown_job_a_note_is_kept(live: Public, store: SqliteStore) -> None:
    assert (await live.post(TRANSCRIPT % b"t-9", job_id="job_9")).status == 204
    assert await store.pins.notes(JobId("job_9")) == ["t-9"]
    assert await store.jobs.get(RowId("job_9")) is None
    assert live.woken == []


async def test_many_at_once_are_each_counted(live: Public, store: SqliteStore) -> None:
    answers = await asyncio.gather(*(live.post(TRANSCRIPT % b"t-1") for _ in range(100)))
    assert {answer.status for answer in answers} == {204}
    row = await store.jobs.get(RowId("job_1"))
    assert row is not None
    assert row.callbacks == 100


async def test_a_locked_store_is_our_trouble_and_passes(live: Public, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    assert (await live.post(TRANSCRIPT % b"t-1")).status == 503
    assert time.monotonic() - began < 5
    other.execute("ROLLBACK")
    other.close()
    assert (await live.post(TRANSCRIPT % b"t-1")).status == 204


async def test_a_store_that_went_away_is_our_trouble_and_passes(live: Public, tmp_path: Path) -> None:
    file, aside = tmp_path / "jobs.db", tmp_path / "aside"
    file.rename(aside)
    assert (await live.post(TRANSCRIPT % b"t-1")).status == 503
    assert live.woken == []
    aside.rename(file)
    assert (await live.post(TRANSCRIPT % b"t-1")).status == 204
