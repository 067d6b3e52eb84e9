"""What goes into the books goes there with its save or not at all, whichever engine keeps them."""

import asyncio
from dataclasses import replace

import pytest

from service.adapters.jobs.sqlite import SqliteStore
from service.domain.job import Status
from service.engine.errors import IllegalStep, LeaseLost
from service.engine.row import Entry, RowId
from tests.contract.storing import DAY, NOW, Clock, Store, Stores, claimed, row, save

pytestmark = pytest.mark.anyio

ENTRY = Entry(account="calls", day="2023-11-14", amounts={"requests": 3, "nanodollars": 2**53 + 1})


async def told(store: Store, name: str, entry: Entry = ENTRY) -> None:
    """A row of that name that ends with the entry."""
    held = await claimed(store, name=name, status=Status.DECIDED)
    await store.table.save(held.id, held.token, save(Status.PUBLISHED, None, entry=entry))


async def test_entries_of_a_day_and_account_add_up(store: Store) -> None:
    await told(store, "one")
    await told(store, "two", replace(ENTRY, amounts={"requests": 2, "recordings": 1}))
    await told(store, "three", replace(ENTRY, account="calls-2"))
    await told(store, "four", replace(ENTRY, day="2023-11-30"))
    await told(store, "five", replace(ENTRY, day="2023-12-01"))
    of_calls = await store.books.month("2023-11", "calls")
    assert [(entry.day, dict(entry.amounts)) for entry in of_calls] == [
        ("2023-11-14", {"requests": 5, "nanodollars": 2**53 + 1, "recordings": 1}),
        ("2023-11-30", dict(ENTRY.amounts)),
    ]
    everybody = await store.books.month("2023-11")
    assert [(entry.day, entry.account) for entry in everybody] == [
        ("2023-11-14", "calls"),
        ("2023-11-14", "calls-2"),
        ("2023-11-30", "calls"),
    ]
    assert [entry.day for entry in await store.books.month("2023-12")] == ["2023-12-01"]
    assert await store.books.month("2024-01") == []


async def test_a_save_that_is_refused_enters_nothing(store: Store, clock: Clock) -> None:
    held = await claimed(store, status=Status.DECIDED)
    clock.now += 60
    (taken,) = await store.table.claim(1, only=[held.id])
    with pytest.raises(LeaseLost):
        await store.table.save(held.id, held.token, save(Status.PUBLISHED, None, entry=ENTRY))
    with pytest.raises(IllegalStep):
        await store.table.save(held.id, taken.token, save(Status.RECEIVED, entry=ENTRY))
    assert await store.books.month("2023-11") == []


async def test_a_save_that_was_made_enters_nothing_when_it_is_repeated(store: Store) -> None:
    held = await claimed(store, status=Status.DECIDED)
    ending = save(Status.PUBLISHED, None, entry=ENTRY)
    await store.table.save(held.id, held.token, ending)
    with pytest.raises(LeaseLost):
        await store.table.save(held.id, held.token, ending)
    assert [dict(entry.amounts) for entry in await store.books.month("2023-11")] == [dict(ENTRY.amounts)]


async def test_an_entry_goes_along_with_a_name_that_is_owned(store: Store) -> None:
    held = await claimed(store)
    await store.table.save(held.id, held.token, save(owns="tr-1", entry=ENTRY))
    assert [dict(entry.amounts) for entry in await store.books.month("2023-11")] == [dict(ENTRY.amounts)]


async def test_many_that_enter_at_once_are_all_counted(stores: Stores) -> None:
    one, two = await stores.open(), await stores.open()
    names = [RowId(f"job{number}") for number in range(24)]
    await asyncio.gather(*(one.table.add(row(name, status=Status.DECIDED)) for name in names))
    held = await one.table.claim(len(names), only=names)
    entry = replace(ENTRY, amounts={"requests": 1})
    ending = save(Status.PUBLISHED, None, entry=entry)
    at_once = ((one, two)[number % 2].table.save(each.id, each.token, ending) for number, each in enumerate(held))
    await asyncio.gather(*at_once)
    assert await two.books.month("2023-11") == [replace(entry, amounts={"requests": len(names)})]


async def test_the_file_forgets_days_of_more_than_400_days_ago(stores: Stores, clock: Clock) -> None:
    store = await stores.open()
    if not isinstance(store, SqliteStore):
        pytest.skip("DynamoDB forgets by itself")
    await told(store, "one")
    await store.prune(NOW)
    assert await store.books.month("2023-11")
    clock.now += 401 * DAY
    await store.prune(NOW)
    assert await store.books.month("2023-11") == []
