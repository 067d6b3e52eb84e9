"""A pipeline that has reached its monthly limit: nothing more is paid for, nothing is lost, and all goes on in time."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.adapters.jobs.sqlite import open_store
from service.domain.job import STEPS
from service.domain.tally import NoTally
from service.domain.use.limits import next_month
from service.domain.use.prices import answer_cost
from service.domain.use.usage import Usage
from service.engine.row import Row
from service.engine.workers import Workers
from service.stages.context import Context
from service.stages.drop import Drop
from service.stages.limits import freed
from service.stages.overview import overview
from service.stages.spending import Spending
from service.stages.step import step
from service.wiring import amazon, described, intake, wired
from tests.premises import PIPELINES, Premises, until
from tests.standin import set_faults, totals

pytestmark = pytest.mark.anyio

LATE_IN_NOVEMBER = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()
LIMITED = PIPELINES.replace('match = ["**/*.wav"]', 'match = ["**/*.wav"]\nmonthly_limit = { requests = 3 }')


@dataclass
class Clock:
    """Goes on as the real one does, from wherever it is set to."""

    offset: float = field(default_factory=lambda: LATE_IN_NOVEMBER - time.time())

    def __call__(self) -> float:
        return time.time() + self.offset


@dataclass
class Service:
    """The workers and the intake of a service whose clock is the test's."""

    premises: Premises
    clock: Clock
    context: Context
    drop: Drop

    async def take(self, name: str) -> None:
        path = self.premises.drop(name, f"This is {name}.", "It is about a kettle.")
        await self.drop.take(await described(path, name, {}), [])

    async def rows(self) -> Mapping[str, Row]:
        found = await self.context.ports.jobs.page(limit=100)
        return {row.facts["recording"]["key"]: row for row in found}  # type: ignore[index]

    async def pass_until(self, true: Callable[[Mapping[str, Row]], bool]) -> Mapping[str, Row]:
        """Let time pass, seconds at a time, so that looks at the vendor come due."""

        async def so() -> bool:
            self.clock.offset += 2.0
            return true(await self.rows())

        await until(so)
        return await self.rows()


@asynccontextmanager
async def serving(premises: Premises, clock: Clock) -> AsyncIterator[Service]:
    dice, ticks = Random(5), count(step=1000)
    with amazon() as aws:
        async with (
            open_store(premises.folder / "jobs.db", steps=STEPS, lease=30.0, clock=clock, random=dice) as store,
            wired(premises.settings, premises.loaded, store, aws, NoTally()) as real,
        ):
            # Each question about the month's use is a fresh one.
            context = replace(real, clock=clock, spending=Spending(lambda: float(next(ticks))))
            workers = Workers(
                store.table,
                lambda hold: step(hold, context),
                concurrency=8,
                lease=30.0,
                clock=clock,
                monotonic=time.monotonic,
                random=dice,
                poll=0.05,
            )
            working = asyncio.create_task(workers.serve())
            try:
                yield Service(premises, clock, context, intake(context, lambda _: workers.wake()))
            finally:
                await workers.stop(5.0)
                await working


def published(*names: str) -> Callable[[Mapping[str, Row]], bool]:
    return lambda rows: all(rows[name].status == "published" for name in names)


def parked(*names: str) -> Callable[[Mapping[str, Row]], bool]:
    return lambda rows: all(rows[name].parked == "limit:calls" for name in names)


@pytest.fixture
def premises(tmp_path: Path, standin: str) -> Premises:
    premises = Premises(tmp_path, standin, callbacks=False)
    premises.pipelines(LIMITED)
    return premises


async def spent(service: Service, early: str = "early.wav", slow: str = "slow.wav", late: str = "late.wav") -> None:
    """One is done and took all; one was at the vendor meanwhile; one comes after that."""
    set_faults(service.premises.standin, {"on": "submit", "do": "take", "seconds": 0.0, "times": 1})
    await service.take(early)
    await service.pass_until(lambda rows: rows[early].status != "received")
    set_faults(service.premises.standin, {"on": "submit", "do": "take", "seconds": 1.0, "times": 1})
    await service.take(slow)
    await service.pass_until(published(early))
    await service.pass_until(parked(slow))
    await service.take(late)
    await service.pass_until(parked(late))


async def test_at_its_limit_nothing_is_submitted_or_asked_and_in_later_months_all_goes_on(
    premises: Premises,
) -> None:
    clock = Clock()
    with capture_logs() as lines:
        async with serving(premises, clock) as service:
            await spent(service)
            assert bought(premises) == (2, 3), "the early one whole, the slow one up to its prompts"
            rows = await service.rows()
            assert [rows[name].status for name in ("slow.wav", "late.wav")] == ["transcribed", "received"]
            assert [row.facts.get("trouble") for row in rows.values()] == [None] * 3
            assert all(row.facts.get("prompt_trouble") in (None, {}) for row in rows.values())
            assert all(row.due_at < next_month(clock()) for row in rows.values() if row.due_at), "looked at in a day"
            seen = await overview(service.context.ports.jobs, service.context.ports.budget, clock())
            assert (seen.limited, seen.parked) == (2, 0)
            clock.offset += 86_400.0 * 1.2
            await asyncio.sleep(0.5)
            await freed(service.context)
            assert parked("slow.wav", "late.wav")(await service.rows()), "a look, the next day, changes nothing"
            assert bought(premises) == (2, 3)
            assert len(told(lines)) == 1
            for _ in range(2):
                clock.offset += next_month(clock()) - clock() + 60.0
                await freed(service.context)
                await service.pass_until(
                    lambda rows: any(row.parked for row in rows.values()) or published("slow.wav", "late.wav")(rows)
                )
            await service.pass_until(published("slow.wav", "late.wav"))
    assert bought(premises) == (3, 9)
    assert sorted(event["data"]["recording"]["key"] for event in premises.events()) == [
        *("early.wav", "late.wav", "slow.wav")
    ]
    assert {event["data"]["outcome"] for event in premises.events()} == {"complete"}


async def test_a_raised_limit_takes_effect_after_a_restart(premises: Premises) -> None:
    clock = Clock()
    async with serving(premises, clock) as service:
        await service.context.ports.catalogue.refresh()  # type: ignore[attr-defined]
        await spent(service)
        model = service.context.ports.catalogue.models["claude-sonnet-4-6"]  # type: ignore[index]
    (early,) = premises.events()
    for each in early["data"]["answers"].values():
        assert each["usage"]["estimated_cost"] == answer_cost(Usage(**each["usage"]), model) > 0
    premises.pipelines(LIMITED.replace("requests = 3", "requests = 300"))
    clock.offset += 20.0
    async with serving(premises, clock) as service:
        await freed(service.context)
        await service.pass_until(published("slow.wav", "late.wav"))
        assert await service.context.ports.gates.closed() == []
    assert bought(premises) == (3, 9)


def told(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["event"] == "pipeline.limited"]


def bought(premises: Premises) -> tuple[int, int]:
    """Submissions and answers that the vendor billed."""
    found = totals(premises.standin)
    return found["submissions"], found["asks_billed"]
