"""The budget of bytes in work."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.assemblyai.in_work import UNTOLD, InWork

pytestmark = pytest.mark.anyio


class Holder:
    """Holds so many bytes until told to let go."""

    def __init__(self, in_work: InWork, n_bytes: int | None) -> None:
        self.inside = asyncio.Event()
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._hold(in_work, n_bytes))

    async def _hold(self, in_work: InWork, n_bytes: int | None) -> None:
        async with in_work.hold(n_bytes):
            self.inside.set()
            await self.leave.wait()

    async def done(self) -> None:
        self.leave.set()
        await self.task


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_fits_goes_in_together_and_the_next_waits() -> None:
    in_work = InWork(10)
    first, second, third = (Holder(in_work, n) for n in (4, 6, 1))
    await settled()
    assert [holder.inside.is_set() for holder in (first, second, third)] == [True, True, False]
    await first.done()
    await settled()
    assert third.inside.is_set()
    await second.done()
    await third.done()


async def test_what_is_larger_than_everything_runs_alone() -> None:
    in_work = InWork(10)
    small, large, late = (Holder(in_work, n) for n in (1, 1000, 1))
    await settled()
    assert [holder.inside.is_set() for holder in (small, large, late)] == [True, False, False]
    await small.done()
    await settled()
    assert [holder.inside.is_set() for holder in (large, late)] == [True, False]
    await large.done()
    await late.done()


async def test_a_large_one_is_not_overtaken() -> None:
    in_work = InWork(10)
    first, large, small = (Holder(in_work, n) for n in (5, 8, 2))
    await settled()
    assert not small.inside.is_set()
    await first.done()
    await settled()
    assert large.inside.is_set()
    assert small.inside.is_set()
    await large.done()
    await small.done()


async def test_an_untold_length_counts_a_fixed_amount() -> None:
    in_work = InWork(2 * UNTOLD)
    holders = [Holder(in_work, None) for _ in range(3)]
    await settled()
    assert [holder.inside.is_set() for holder in holders] == [True, True, False]
    for holder in holders:
        await holder.done()


async def test_who_stops_waiting_stands_in_nobodys_way() -> None:
    in_work = InWork(10)
    first, large, small = (Holder(in_work, n) for n in (5, 8, 2))
    await settled()
    large.task.cancel()
    await settled()
    assert small.inside.is_set()
    await first.done()
    await small.done()


async def test_who_is_cancelled_with_the_turn_in_hand_gives_it_back() -> None:
    in_work = InWork(10)
    first, second = Holder(in_work, 10), Holder(in_work, 10)
    await settled()
    first.leave.set()
    await asyncio.wait([first.task])
    second.task.cancel()
    await settled()
    third = Holder(in_work, 10)
    await settled()
    assert third.inside.is_set()
    await third.done()


@given(st.integers(0, 2**32))
async def test_never_more_than_the_budget_is_held_and_all_come_through(seed: int) -> None:
    dice = random.Random(seed)
    in_work, held, most = InWork(100), 0, 0

    async def one(n_bytes: int) -> None:
        nonlocal held, most
        async with in_work.hold(n_bytes):
            held += min(n_bytes, 100)
            most = max(most, held)
            try:
                for _ in range(dice.randrange(4)):
                    await asyncio.sleep(0)
            finally:
                held -= min(n_bytes, 100)

    tasks = [asyncio.create_task(one(dice.choice([1, 30, 60, 99, 500]))) for _ in range(20)]
    for task in tasks:
        if dice.random() < 0.3:
            await asyncio.sleep(0)
            task.cancel()
    await asyncio.wait(tasks, timeout=10)
    assert all(task.done() for task in tasks)
    assert most <= 100
    async with in_work.hold(100):
        assert held == 0
