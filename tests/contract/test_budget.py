"""What the rate budget and the models' queues owe to all who share a job store, whichever engine keeps it."""

import asyncio
from dataclasses import replace

import pytest

from service.adapters.budget.fleet import MOST_MODELS, FleetBudget
from service.domain.job import Status
from service.domain.models.allowance import Granted, Terms, Window, queue_of
from service.engine.errors import LeaseLost
from service.engine.row import Depth, Lane, Row, RowId
from tests.contract.storing import LEASE, NOW, Clock, Store, Stores, claimed, row, save

pytestmark = pytest.mark.anyio

QUEUE = queue_of("m")


def headers(limit: int, remaining: int, reset: int, model: str = "m") -> dict[str, str]:
    return {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(reset),
        "x-ratelimit-model": model,
    }


def budget(store: Store, clock: Clock, **terms: float) -> FleetBudget:
    return FleetBudget(store.budgets, store.queues, terms=Terms(**terms), clock=clock)


async def waits(store: Store, name: str, wants: int = 1, queue: str = QUEUE, **fields: object) -> Row:
    """A row that waits in a queue, not due for long."""
    added, _ = await store.table.add(row(name, status=Status.TRANSCRIBED, **fields))
    (held,) = await store.table.claim(1, only=[added.id])
    return await store.table.save(held.id, held.token, waiting(queue, wants))


def waiting(queue: str | None, wants: int = 1) -> object:
    return save(Status.TRANSCRIBED, NOW + 3_600, queue=queue, wants=wants)


class Writes:
    """Counts the windows that are written."""

    def __init__(self, store: Store) -> None:
        self.count = 0
        self._budgets = store.budgets
        self.all = store.budgets.all

    async def change(self, model: str, decide: object) -> Window:
        def counting(window: Window) -> Window:
            after = decide(window)
            self.count += after is not window
            return after

        return await self._budgets.change(model, counting)


class TestBudget:
    async def test_two_replicas_together_are_granted_what_there_is_and_no_more(
        self, stores: Stores, clock: Clock
    ) -> None:
        one, two = [budget(await stores.open(), clock) for _ in range(2)]
        one.observe("m", headers(30, 30, 60), 0.0)
        await one.settled()
        granted = await asyncio.gather(*(each.take("m", 4) for _ in range(6) for each in (one, two)))
        assert sum(each.count for each in granted) == 30
        assert {each.wait for each in granted if each.count < 4} == {61.0}
        clock.now += 61
        assert (await two.take("m", 99)).count == 30

    async def test_what_one_replica_hears_another_goes_by(self, stores: Stores, clock: Clock) -> None:
        one, two = [budget(await stores.open(), clock) for _ in range(2)]
        one.observe("m", headers(30, 2, 40), 0.0)
        await one.settled()
        assert await two.take("m", 9) == Granted(count=2, wait=41.0, opened_at=NOW)
        await two.exhausted("m", 50.0)
        assert (await one.take("m", 1)).wait == 50.0

    async def test_what_is_given_back_another_may_have(self, stores: Stores, clock: Clock) -> None:
        one, two = [budget(await stores.open(), clock) for _ in range(2)]
        one.observe("m", headers(30, 30, 60), 0.0)
        await one.settled()
        granted = await one.take("m", 30)
        await one.give_back("m", replace(granted, count=3))
        assert (await two.take("m", 9)).count == 3

    async def test_answers_that_say_what_was_counted_are_not_written(self, store: Store, clock: Clock) -> None:
        counted = Writes(store)
        asked = FleetBudget(counted, store.queues, terms=Terms(), clock=clock)
        asked.observe("m", headers(30, 30, 60), 0.0)
        await asked.settled()
        await asked.take("m", 30)
        assert counted.count == 2
        for left in range(29, -1, -1):
            asked.observe("m", headers(30, left, 60), 0.0)
            await asked.settled()
        assert counted.count == 2
        assert (await asked.take("m", 1)).count == 0
        assert counted.count == 2

    async def test_a_burst_of_news_is_written_together(self, store: Store, clock: Clock) -> None:
        counted = Writes(store)
        asked = FleetBudget(counted, store.queues, terms=Terms(), clock=clock)
        for left in range(20, 10, -1):
            asked.observe("m", headers(30, left, 60), 0.0)
        await asked.settled()
        assert counted.count == 1
        assert (await asked.take("m", 99)).count == 11

    async def test_each_model_has_its_own_window_and_a_fallback_counts_for_itself(
        self, store: Store, clock: Clock
    ) -> None:
        asked = budget(store, clock, unheard=1)
        assert (await asked.take("first", 9)).count == 1
        asked.observe("first", headers(30, 0, 60, "second"), 0.0)
        await asked.settled()
        assert [(await asked.take(model, 99)).count for model in ("first", "second", "third")] == [99, 0, 1]

    async def test_models_that_only_the_vendor_names_do_not_pile_up(self, store: Store, clock: Clock) -> None:
        asked = budget(store, clock)
        asked._seen = {f"made-up-{number}": Window() for number in range(MOST_MODELS)}
        asked.observe("m", headers(30, 5, 60, "one-more"), 0.0)
        await asked.settled()
        assert list(await store.budgets.all()) == ["m"]

    async def test_a_newcomer_overtakes_nobody_but_backfill(self, store: Store, clock: Clock) -> None:
        asked = budget(store, clock)
        asked.observe("m", headers(30, 30, 60), 0.0)
        await asked.settled()

        async def granted(**fields: object) -> int:
            return (await asked.take("m", 1, newcomer=row("new", **{"created_at": NOW, **fields}))).count

        await waits(store, "old-backfill", lane=Lane.BACKFILL, created_at=NOW - 9)
        assert [await granted(), await granted(lane=Lane.BACKFILL)] == [1, 0]
        assert await granted(lane=Lane.BACKFILL, created_at=NOW - 10) == 1
        await waits(store, "old-fresh", created_at=NOW - 5)
        assert [await granted(), await granted(created_at=NOW - 6)] == [0, 1]
        assert await granted(lane=Lane.BACKFILL, created_at=NOW - 10) == 0

    async def test_it_tells_how_things_stand_with_each_model(self, store: Store, clock: Clock) -> None:
        asked = budget(store, clock, share=0.5)
        asked.observe("m", headers(30, 30, 60), 0.0)
        await asked.settled()
        await asked.take("m", 3)
        for number in range(5):
            await waits(store, f"job{number}", wants=6)
        (standing,) = await asked.standings()
        assert (standing.model, standing.allowance, standing.granted, standing.ends_at) == ("m", 15, 3, NOW + 61)
        assert (standing.queued, standing.requests, standing.seconds) == (5, 30, 120.0)
        assert await asked.wait("m") == 120.0


class TestQueues:
    async def test_who_waits_is_listed_by_lane_the_oldest_first(self, store: Store) -> None:
        for number in (2, 0, 1):
            await waits(store, f"fresh{number}", wants=number + 1, created_at=NOW - 10 + number)
        await waits(store, "backfill", lane=Lane.BACKFILL)
        await waits(store, "elsewhere", queue=queue_of("other"))
        fresh = await store.queues.heads(QUEUE, Lane.FRESH, 2)
        assert [(each.id, each.wants, each.created_at) for each in fresh] == [
            ("fresh0", 1, NOW - 10),
            ("fresh1", 2, NOW - 9),
        ]
        assert [each.id for each in await store.queues.heads(QUEUE, Lane.BACKFILL, 9)] == ["backfill"]
        await budget(store, Clock()).take("m", 1)
        assert set(await store.queues.depths(QUEUE)) == {
            Depth(queue=QUEUE, lane=Lane.FRESH, rows=3, wants=6),
            Depth(queue=QUEUE, lane=Lane.BACKFILL, rows=1, wants=1),
        }

    async def test_their_order_in_a_line_lets_neither_lane_starve(self, store: Store, clock: Clock) -> None:
        for number in range(9):
            await waits(store, f"fresh{number}", created_at=NOW + number)
        for number in range(3):
            await waits(store, f"backfill{number}", lane=Lane.BACKFILL, created_at=NOW - 100 + number)
        line = [each.id for each in await budget(store, clock).line("m", 99, served=5)]
        assert line[:4] == ["fresh0", "fresh1", "backfill0", "fresh2"]
        assert [number for number, name in enumerate(line) if name.startswith("backfill")] == [2, 10, 11]

    async def test_a_row_is_called_out_of_its_queue_before_it_is_due_and_by_one_alone(self, stores: Stores) -> None:
        one, two = await stores.open(), await stores.open()
        rows = [(await waits(one, f"job{number}")).id for number in range(12)]
        assert await one.table.claim(99) == []
        assert await one.table.claim(99, only=rows, queue=queue_of("other")) == []
        taken = await asyncio.gather(*(store.table.claim(99, only=rows, queue=QUEUE) for store in (one, two)))
        ids = [each.id for some in taken for each in some]
        assert sorted(ids) == sorted(rows)
        assert all((each.queue, each.wants) == (None, 0) for some in taken for each in some)
        assert await one.queues.heads(QUEUE, Lane.FRESH, 9) == []

    async def test_who_is_called_up_and_dies_comes_back_when_the_lease_is_over(
        self, store: Store, clock: Clock
    ) -> None:
        standing = await waits(store, "job")
        (called,) = await store.table.claim(1, only=[standing.id], queue=QUEUE)
        clock.now += LEASE - 1
        assert await store.table.claim(1) == []
        clock.now += 1
        (again,) = await store.table.claim(1)
        assert again.id == called.id
        with pytest.raises(LeaseLost):
            await store.table.save(called.id, called.token, waiting(None))

    async def test_a_row_that_nobody_called_up_is_due_at_its_time_and_keeps_its_place(
        self, store: Store, clock: Clock
    ) -> None:
        standing = await waits(store, "job")
        clock.now += 3_600
        (held,) = await store.table.claim(1)
        assert (held.id, held.queue) == (standing.id, QUEUE)
        # Somebody is at it: it cannot be called up.
        assert await store.queues.heads(QUEUE, Lane.FRESH, 9) == []
        assert await store.table.claim(1, only=[held.id], queue=QUEUE) == []
        await store.table.save(held.id, held.token, waiting(QUEUE, 2))
        assert [each.wants for each in await store.queues.heads(QUEUE, Lane.FRESH, 9)] == [2]

    async def test_a_row_leaves_its_queue_by_whatever_is_saved_of_it(self, store: Store, clock: Clock) -> None:
        standing = await waits(store, "job")
        clock.now += 3_600
        (held,) = await store.table.claim(1, only=[standing.id])
        await store.table.save(held.id, held.token, waiting(queue_of("other")))
        assert await store.queues.heads(QUEUE, Lane.FRESH, 9) == []
        assert [each.id for each in await store.queues.heads(queue_of("other"), Lane.FRESH, 9)] == ["job"]
        (called,) = await store.table.claim(1, only=[standing.id], queue=queue_of("other"))
        await store.table.save(called.id, called.token, save(Status.DECIDED))
        assert await store.queues.heads(queue_of("other"), Lane.FRESH, 9) == []
        assert await store.queues.depths() == []

    async def test_rows_that_a_newer_replica_wrote_are_not_called_up(self, store: Store) -> None:
        added, _ = await store.table.add(row("newer", status="translated", queue=QUEUE, wants=1))
        assert await store.queues.heads(QUEUE, Lane.FRESH, 9) == []
        assert await store.table.claim(1, only=[added.id], queue=QUEUE) == []

    async def test_nobody_in_a_queue_is_nobody(self, store: Store) -> None:
        held = await claimed(store)
        assert await store.table.claim(1, only=[held.id, RowId("nobody")], queue=QUEUE) == []
        assert await store.queues.heads(QUEUE, Lane.FRESH, 9) == await store.queues.depths() == []
