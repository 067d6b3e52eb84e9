"""A job store that an older version made is brought up to date where it lies, whole or not at all."""

import asyncio
import sqlite3
from contextlib import AbstractAsyncContextManager, AsyncExitStack, closing
from pathlib import Path
from random import Random

import pytest

from service.adapters.jobs import sqlite_schema
from service.adapters.jobs.sqlite import SqliteStore, open_store
from service.adapters.jobs.sqlite_schema import FIRST, VERSION
from service.domain.job import STEPS, Status
from service.engine.errors import StoreTrouble
from service.engine.row import Row, RowId

pytestmark = pytest.mark.anyio

ROW = Row(id=RowId("job"), status=Status.RECEIVED, facts={"n": 1}, created_at=1.0, updated_at=1.0, due_at=1.0)


OLDER = """
INSERT INTO job (id, status, lane, created_at, updated_at, due_at, lease_until, claimable_at, token, claims, callbacks,
    callbacks_checked, subject, parked, schema, facts)
VALUES ('older', 'received', 'fresh', 1, 1, 1, 0, 0, 0, 0, 0, 0, NULL, NULL, 1, '{}')"""
"""As the first version adds a row."""


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A store as the first version made it."""
    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA journal_mode = WAL; {FIRST} PRAGMA user_version = 1;")
    return path


def opening(path: Path) -> AbstractAsyncContextManager[SqliteStore]:
    return open_store(path, steps=STEPS, lease=30.0, clock=lambda: 1.0, random=Random(1))


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


async def test_two_that_open_an_older_file_bring_it_up_to_date_once_beside_one_that_has_it_open(first: Path) -> None:
    with closing(sqlite3.connect(first, isolation_level=None)) as older:
        assert older.execute("SELECT count(*) FROM job").fetchone() == (0,)
        async with AsyncExitStack() as stack:
            one, two = await asyncio.gather(*(stack.enter_async_context(opening(first)) for _ in range(2)))
            assert version(first) == VERSION == 4
            await one.table.add(ROW)
            assert await two.jobs.get(ROW.id) == ROW
            assert await one.unmatched.keep("s3://calls/a.ogg", b"a")
            assert await two.unmatched.kept() == ([b"a"], None)
            assert await one.books.month("2026-11") == []
            # Who still runs the older version goes on with its tables.
            older.execute("UPDATE job SET claims = 1")
            assert older.execute("SELECT id, claims FROM job").fetchall() == [("job", 1)]
            older.execute(OLDER)
            written = await one.jobs.get(RowId("older"))
            assert written is not None
            assert (written.queue, written.wants) == (None, 0)
    async with opening(first) as again:
        assert await again.unmatched.kept() == ([b"a"], None)


async def test_an_upgrade_that_fails_leaves_the_file_as_it_was(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (*sqlite_schema.STEPS[:1], sqlite_schema.STEPS[1] + "CREATE TABLE job (id TEXT)")
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_schema, "STEPS", broken)
        with pytest.raises(StoreTrouble):
            await opening(first).__aenter__()
    assert version(first) == 1
    with closing(sqlite3.connect(first)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'unmatched'").fetchall() == []
    async with opening(first) as store:
        assert await store.unmatched.kept() == ([], None)
