"""Job stores to put to the proof: any number of them on the same rows, on each engine."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from service.adapters.jobs.dynamodb import Ages, DynamoStore, open_table_store
from service.adapters.jobs.dynamodb_counts import Worth
from service.adapters.jobs.dynamodb_schema import definition
from service.adapters.jobs.sqlite import SqliteStore, open_store
from service.domain.job import STEPS, Status
from service.engine.row import Row, RowId, Save

NOW = 1_700_000_000.0
LEASE = 30.0
DAY = 86_400.0
CURRENT = Ages(look_every=0.0, active=Worth(least=0.0, rate=1e9), ended=Worth(least=0.0, rate=1e9), apart=float("inf"))
"""Nothing is told that is older than the call, and the clock may stand where a test wants it."""


@dataclass
class Clock:
    """Stands until it is told to go on."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


Store = SqliteStore | DynamoStore
Opener = Callable[[Clock], AbstractAsyncContextManager[Store]]


@dataclass
class Stores:
    """Opens any number of stores on the same rows, as so many processes would."""

    opener: Opener
    clock: Clock = field(default_factory=Clock)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def open(self) -> Store:
        return await self.stack.enter_async_context(self.opener(self.clock))


def file(request: pytest.FixtureRequest) -> Opener:
    path = request.getfixturevalue("tmp_path") / "jobs.db"
    return lambda clock: open_store(path, steps=STEPS, lease=LEASE, clock=clock, random=Random(7))


def table(request: pytest.FixtureRequest) -> Opener:
    emulator, aws = request.getfixturevalue("emulator"), request.getfixturevalue("aws")
    name = emulator.name("jobs")
    emulator.client("dynamodb").create_table(**definition(name))
    return lambda clock: open_table_store(
        aws, name, steps=STEPS, lease=LEASE, keep=90 * DAY, clock=clock, random=Random(), ages=CURRENT
    )


@pytest.fixture(params=[file, table], ids=["sqlite", "dynamodb"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    opened = Stores(request.param(request))
    async with opened.stack:
        yield opened


@pytest.fixture
async def store(stores: Stores) -> Store:
    return await stores.open()


@pytest.fixture
def clock(stores: Stores) -> Clock:
    return stores.clock


def row(name: str = "job", **fields: object) -> Row:
    standing = Row(id=RowId(name), status=Status.RECEIVED, facts={"n": 1}, created_at=NOW, updated_at=NOW, due_at=NOW)
    return replace(standing, **fields)


def save(status: Status = Status.SUBMITTED, due_at: float | None = NOW + 600, **fields: object) -> Save:
    return replace(Save(status=status, facts={"n": 2}, due_at=due_at), **fields)


async def claimed(store: Store, **fields: object) -> Row:
    """A row that we hold."""
    added, _ = await store.table.add(row(**fields))
    (held,) = await store.table.claim(1, only=[added.id])
    return held


async def ended(store: Store, name: str = "job") -> Row:
    held = await claimed(store, name=name, status=Status.DECIDED)
    return await store.table.save(held.id, held.token, save(Status.FAILED, None))
