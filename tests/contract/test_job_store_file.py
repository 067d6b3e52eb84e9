"""What only the store in a file owes: trouble with it is told in our words, and passes without a restart."""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from service.adapters.jobs.sqlite import SqliteStore, open_store
from service.adapters.jobs.sqlite_listing import COUNTS, PAGE
from service.adapters.jobs.sqlite_rows import CLAIMABLE
from service.adapters.jobs.sqlite_schema import VERSION, wal_reset_bug
from service.domain.errors import Refused
from service.domain.job import STEPS, Status
from service.engine.errors import StoreTrouble
from service.engine.row import Lane, RowId
from tests.contract.storing import DAY, LEASE, NOW, Clock, Stores, ended, row

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
async def stores(path: Path) -> AsyncIterator[Stores]:
    opened = Stores(lambda clock: open_store(path, steps=STEPS, lease=LEASE, clock=clock, random=Random(7)))
    async with opened.stack:
        yield opened


@pytest.fixture
async def store(stores: Stores) -> SqliteStore:
    return await stores.open()


@pytest.fixture
def clock(stores: Stores) -> Clock:
    return stores.clock


def scribble(path: Path) -> None:
    path.write_bytes(b"not a database" * 1_000)


class TestFile:
    async def test_pruning_forgets_what_ended_long_ago_and_nothing_else(self, store: SqliteStore, clock: Clock) -> None:
        await ended(store, "old")
        await ended(store, "retried")
        await store.table.add(row("waiting", due_at=NOW + 99 * DAY))
        clock.now += 10 * DAY
        await ended(store, "recent")
        await store.table.reopen(RowId("retried"), Status.RECEIVED, {}, Lane.FRESH)
        assert await store.prune(clock.now - DAY) == 1
        assert await store.prune(clock.now - DAY) == 0
        assert sorted(each.id for each in await store.jobs.page()) == ["recent", "retried", "waiting"]

    async def test_what_was_written_is_there_after_a_restart(self, stores: Stores) -> None:
        async with stores.opener(stores.clock) as before:
            await before.table.add(row())
        assert await (await stores.open()).jobs.get(RowId("job")) == row()

    async def test_a_locked_file_is_trouble_for_two_seconds_and_then_no_more(
        self, store: SqliteStore, path: Path
    ) -> None:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreTrouble, match="SQLITE_BUSY"):
            await asyncio.wait_for(store.table.add(row()), 10)
        other.execute("ROLLBACK")
        other.close()
        assert (await store.table.add(row()))[1]

    async def test_a_file_that_cannot_be_written_is_trouble_and_then_no_more(self, store: SqliteStore) -> None:
        store.table._writer._opened.connection().execute("PRAGMA query_only = ON")
        with pytest.raises(StoreTrouble, match="SQLITE_READONLY"):
            await store.table.add(row())
        assert (await store.table.add(row()))[1]

    async def test_a_full_disk_is_trouble_until_there_is_room(self, store: SqliteStore, path: Path) -> None:
        await store.table.add(row("before"))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name("jobs.db-wal").stat().st_size, limits[1]))
        try:
            for _ in range(2):
                with pytest.raises(StoreTrouble):
                    await store.table.add(row(facts={"long": "x" * 2_000_000}))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (await store.table.add(row()))[1]
        assert len(await store.jobs.page()) == 2

    async def test_without_room_every_write_is_whole_or_told_of(self, store: SqliteStore) -> None:
        connection = store.table._writer._opened.connection()
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        sizes = {"small": 1, "big": 200_000, "other": 1}
        adding = [store.table.add(row(name, facts={"long": "x" * size})) for name, size in sizes.items()]
        outcomes = await asyncio.gather(*adding, return_exceptions=True)
        assert isinstance(outcomes[1], StoreTrouble)
        told = {name for name, each in zip(sizes, outcomes, strict=True) if not isinstance(each, StoreTrouble)}
        assert {each.id for each in await store.jobs.page()} == told
        assert (await store.table.add(row("big", facts={"long": "x" * 200_000})))[1]

    async def test_a_file_that_vanished_is_trouble_and_never_made_again(self, store: SqliteStore, path: Path) -> None:
        await store.table.add(row())
        folder = path.parent.rename(path.parent.with_name("away"))
        with pytest.raises(StoreTrouble, match="No such file"):
            await store.table.add(row("lost"))
        with pytest.raises(StoreTrouble):
            await store.jobs.get(RowId("job"))
        folder.rename(path.parent)
        assert (await store.table.add(row("kept")))[1]
        assert len(await store.jobs.page()) == 2

    async def test_a_file_that_is_no_database_is_trouble(self, store: SqliteStore, path: Path) -> None:
        for each in path.parent.glob("jobs.db*"):
            each.unlink()
        scribble(path)
        with pytest.raises(StoreTrouble, match="SQLITE_NOTADB"):
            await store.table.add(row())
        with pytest.raises(StoreTrouble, match="SQLITE_NOTADB"):
            await store.jobs.counts()

    async def test_a_missing_folder_is_trouble_at_the_start(self, tmp_path: Path) -> None:
        opening = open_store(tmp_path / "no" / "a.db", steps=STEPS, lease=LEASE, clock=Clock(), random=Random(1))
        with pytest.raises(StoreTrouble, match="No such file"):
            await opening.__aenter__()

    async def test_a_file_of_a_newer_version_is_refused(self, stores: Stores, path: Path) -> None:
        await stores.open()
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        connection.close()
        with pytest.raises(Refused, match="newer Afterword"):
            await stores.open()

    async def test_a_failing_write_takes_no_other_along(self, store: SqliteStore) -> None:
        outcomes = await asyncio.gather(
            store.table.add(row("a")),
            store.table.add(row("b", facts={"not": object()})),
            store.table.reopen(RowId("nobody"), Status.RECEIVED, {}, Lane.FRESH),
            store.table.add(row("c")),
            return_exceptions=True,
        )
        assert [type(each) for each in outcomes] == [tuple, TypeError, KeyError, tuple]
        assert len(await store.jobs.page()) == 2

    async def test_a_caller_that_gives_up_leaves_a_whole_row_or_none(self, store: SqliteStore) -> None:
        adding = [asyncio.ensure_future(store.table.add(row(f"{number}"), [f"n{number}"])) for number in range(50)]
        await asyncio.sleep(0)
        for each in adding[::2]:
            each.cancel()
        await asyncio.gather(*adding, return_exceptions=True)
        rows = {each.id for each in await store.jobs.page()}
        assert {f"{number}" for number in range(1, 50, 2)} <= rows
        for number in range(50):
            assert len(await store.jobs.find(f"n{number}")) == (f"{number}" in rows)

    async def test_a_closed_store_says_so(self, stores: Stores) -> None:
        async with stores.opener(stores.clock) as store:
            pass
        with pytest.raises(StoreTrouble):
            await store.table.add(row())

    async def test_claims_counts_and_pages_use_their_indexes(self, store: SqliteStore, path: Path) -> None:
        connection = sqlite3.connect(path)
        wanted = {"now": 0, "created_at": 0, "id": "", "statuses": None, "since": None, "limit": 1}
        plans = [
            (CLAIMABLE, ("fresh", NOW, 1, "[]", 100), "job_ready"),
            (COUNTS, wanted, "COVERING INDEX job_counted"),
            (PAGE, wanted, "job_created"),
        ]
        for statement, parameters, index in plans:
            plan = " ".join(each[3] for each in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))
            assert index in plan
            assert "TEMP B-TREE" not in plan
        connection.close()


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 9), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
        ((4, 0, 0), False),
    ],
)
async def test_versions_of_sqlite_with_the_wal_reset_bug_are_known(
    version: tuple[int, int, int], affected: bool
) -> None:
    assert wal_reset_bug(version) is affected
