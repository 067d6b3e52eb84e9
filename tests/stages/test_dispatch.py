"""Calling up who waits: by whoever has budget, with what there is of it, and without losing a race twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

from service.adapters.budget.fleet import FleetBudget
from service.adapters.jobs.sqlite import SqliteStore, open_store
from service.domain.job import STEPS, Status
from service.domain.models.allowance import Terms, Window, model_of, queue_of
from service.engine.errors import StoreTrouble
from service.engine.row import Lane, Row, RowId, Save, Waiting
from service.stages.asking.dispatch import Dispatch
from service.stages.asking.purse import Grants

pytestmark = pytest.mark.anyio

NOW = 1_000.0
LEASE = 30.0
QUEUE = queue_of("m")


@dataclass
class Crew:
    """Workers that claim and are then done; `free` of them, `late` for the rows that others were quicker with."""

    store: SqliteStore
    grants: Grants
    free: int = 9
    late: set[str] = field(default_factory=set)
    begun: dict[str, int] = field(default_factory=dict)
    trouble: int = 0

    async def begin(self, row_ids: Sequence[RowId], queue: str) -> Sequence[RowId]:
        if self.trouble:
            self.trouble -= 1
            raise StoreTrouble("the store is away")
        for each in self.late & set(row_ids):
            await self.store.table.claim(1, only=[RowId(each)], queue=queue)
        rows = await self.store.table.claim(self.free, only=row_ids, queue=queue)
        for row in rows:
            self.begun[row.id] = self.grants.collected(row.id)[model_of(queue)].count
        return [row.id for row in rows]


@dataclass
class Scene:
    store: SqliteStore
    budget: FleetBudget
    dispatch: Dispatch
    crew: Crew

    async def waits(self, name: str, wants: int, lane: Lane = Lane.FRESH, model: str = "m") -> None:
        row = Row(id=RowId(name), status=Status.TRANSCRIBED, lane=lane, created_at=NOW, updated_at=NOW, due_at=NOW)
        await self.store.table.add(row)
        (held,) = await self.store.table.claim(1, only=[row.id])
        save = Save(status=Status.TRANSCRIBED, facts={}, due_at=NOW + 900, queue=queue_of(model), wants=wants)
        await self.store.table.save(held.id, held.token, save)

    async def granted(self) -> int:
        return (await self.store.budgets.all())["m"].granted

    async def served(self, true: Callable[[], Awaitable[bool]]) -> None:
        """Returns once it is true."""
        serving = asyncio.ensure_future(self.dispatch.serve(self.crew))
        try:
            async with asyncio.timeout(20):
                while not await true():
                    await asyncio.sleep(0.005)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    async def begun(self, *names: str) -> None:
        """Returns once these were begun."""

        async def all_of_them() -> bool:
            return set(names) <= self.crew.begun.keys()

        await self.served(all_of_them)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_store(tmp_path / "jobs.db", steps=STEPS, lease=LEASE, clock=lambda: NOW, random=Random(1)) as store:
        await store.budgets.change("m", lambda _: Window(heard=True, limit=10))
        budget, grants = FleetBudget(store.budgets, store.queues, terms=Terms(), clock=lambda: NOW), Grants()
        context = SimpleNamespace(ports=SimpleNamespace(budget=budget), grants=grants, random=Random(1))
        yield Scene(store, budget, Dispatch(context), Crew(store, grants))


async def test_each_at_the_head_gets_all_that_it_wants_and_the_last_what_is_left(scene: Scene) -> None:
    for name in ("a", "b", "c", "d"):
        await scene.waits(name, wants=4)
    await scene.begun("a", "b", "c")
    assert scene.crew.begun == {"a": 4, "b": 4, "c": 2}
    assert await scene.granted() == 10


async def test_what_another_was_quicker_with_is_given_back(scene: Scene) -> None:
    for name in ("a", "b"):
        await scene.waits(name, wants=3)
    scene.crew.late = {"a"}

    async def given_back() -> bool:
        return "b" in scene.crew.begun and await scene.granted() == 3

    await scene.served(given_back)
    assert scene.dispatch._context.grants.collected("a") == {}


async def test_no_more_are_called_up_than_can_be_begun(scene: Scene) -> None:
    for name in ("a", "b", "c"):
        await scene.waits(name, wants=1)
    scene.crew.free = 1
    await scene.begun("a", "b", "c")
    assert list(scene.crew.begun) == ["a", "b", "c"]
    assert await scene.granted() == 3


async def test_with_the_store_away_for_a_moment_who_waits_is_called_up_later(scene: Scene) -> None:
    await scene.waits("a", wants=1)
    scene.crew.trouble = 2
    await scene.begun("a")
    assert scene.crew.begun == {"a": 1}


async def test_who_begins_to_wait_while_the_queue_is_left_is_seen_to(scene: Scene) -> None:
    await scene.waits("a", wants=1)
    line = scene.budget.line

    async def left_at_that_moment(model: str, limit: int, served: int) -> Sequence[Waiting]:
        found = await line(model, limit, served)
        if not found and "b" not in scene.crew.begun:
            await scene.waits("b", wants=0)
            scene.dispatch.queued(QUEUE)
        return found

    scene.budget.line = left_at_that_moment
    await scene.begun("a", "b")


async def test_backfill_has_its_turn_at_each_model_however_many_others_are_called_up_for_another(scene: Scene) -> None:
    for number in range(3):
        await scene.waits(f"other{number}", wants=1, model="other")
    await scene.begun(*(f"other{number}" for number in range(3)))
    await scene.waits("backfill", wants=1, lane=Lane.BACKFILL)
    for number in range(9):
        await scene.waits(f"fresh{number}", wants=1)
    scene.crew.free = 1
    await scene.begun("backfill")
    assert [name for name in scene.crew.begun if not name.startswith("other")].index("backfill") == 7


async def test_who_is_saved_as_waiting_while_the_service_stops_is_left_to_others(scene: Scene) -> None:
    await scene.waits("a", wants=1)
    await scene.begun("a")
    await scene.waits("b", wants=1)
    before = asyncio.all_tasks()
    scene.dispatch.queued(QUEUE)
    assert asyncio.all_tasks() == before
