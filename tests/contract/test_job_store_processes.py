"""Several processes on one file: none starves another, and one that is killed leaves the file whole."""

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from random import Random

import pytest

from service.adapters.jobs.sqlite import open_store
from service.domain.job import STEPS, Status
from service.engine.row import Callback, Row, RowId

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


async def hammering(path: Path, seconds: float) -> Process:
    """Another process that keeps the file as busy as it can."""
    command = [sys.executable, "-m", "tests.benchmarks.callbacks_commit", str(path), str(seconds), "32"]
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE, cwd=ROOT)


async def test_two_busy_processes_never_wait_a_second_for_each_other(tmp_path: Path) -> None:
    both = [await hammering(tmp_path / "jobs.db", 3.0) for _ in range(2)]
    told = [json.loads((await asyncio.wait_for(each.communicate(), 60))[0]) for each in both]
    assert all(each["slowest"] < 1.0 for each in told), told
    assert min(each["rate"] for each in told) > max(each["rate"] for each in told) / 5, told


async def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    now = time.time()
    async with open_store(path, steps=STEPS, lease=30.0, clock=time.time, random=Random(1)) as store:
        mine = Row(id=RowId("mine"), status=Status.RECEIVED, created_at=now, updated_at=now, due_at=now + 600)
        await store.table.add(mine)
        other = await hammering(path, 30.0)
        acknowledged = 0
        ends = time.monotonic() + 1.5
        while time.monotonic() < ends:
            await store.table.call_back(Callback(row_id=mine.id, subject=None))
            acknowledged += 1
        other.kill()
        await asyncio.wait_for(other.communicate(), 10)
        await store.table.call_back(Callback(row_id=mine.id, subject=None))
        standing = await store.jobs.get(mine.id)
        assert standing is not None
        assert standing.callbacks == acknowledged + 1
