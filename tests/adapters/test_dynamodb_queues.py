"""Queues and windows in DynamoDB when calls go wrong: nobody waits unseen, and nothing is granted twice."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from service.adapters.aws import Aws
from service.adapters.budget.fleet import FleetBudget
from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb import DynamoStore
from service.adapters.jobs.dynamodb_calls import APART_AT_MOST
from service.adapters.jobs.dynamodb_queues import ABANDONED_AFTER, partition
from service.domain.job import Status
from service.domain.models.allowance import LENGTH, ROUNDING, Terms, Window, queue_of
from service.engine.errors import StoreTrouble
from service.engine.row import Lane, Row
from tests.adapters.jobs_table import made, opened
from tests.adapters.test_dynamodb_faults import insisted, towards
from tests.contract.storing import CURRENT, NOW, Clock, row, save
from tests.emulator import Emulator, Faulty

pytestmark = pytest.mark.anyio

QUEUE = queue_of("m")
LOST = {"response": {"abort_frac": 0.0}}


@pytest.fixture
def through(faulty: Faulty) -> Iterator[Aws]:
    with towards(faulty.url, attempts=1) as found:
        yield found


async def held(store: DynamoStore, name: str) -> Row:
    added, _ = await store.table.add(row(name, status=Status.TRANSCRIBED))
    (claimed,) = await store.table.claim(1, only=[added.id])
    return claimed


async def waits(store: DynamoStore, claimed: Row) -> Row:
    waiting = save(Status.TRANSCRIBED, NOW + 3_600, queue=QUEUE, wants=2)
    return await store.table.save(claimed.id, claimed.token, waiting)


def entries(emulator: Emulator, table: str) -> int:
    return int(
        emulator.client("dynamodb").query(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": partition(QUEUE, Lane.FRESH)}},
        )["Count"]
    )


async def test_an_entry_that_a_crash_left_behind_is_passed_over_and_goes_once_it_is_old(
    aws: Aws, emulator: Emulator
) -> None:
    table, clock = made(emulator), Clock()
    async with opened(aws, table, clock) as store:
        # It was about to wait, and its process died between the two writes.
        died = await held(store, "died")
        await store.table._entries.enter(died, QUEUE, 2)
        await waits(store, await held(store, "waits"))
        assert [each.id for each in await store.queues.heads(QUEUE, Lane.FRESH, 1)] == ["waits"]
        assert entries(emulator, table) == 2, "who writes an entry now may be about to wait"
        clock.now += ABANDONED_AFTER + 1
        assert [each.id for each in await store.queues.heads(QUEUE, Lane.FRESH, 9)] == ["waits"]
        assert entries(emulator, table) == 1


async def test_an_entry_whose_row_an_older_replica_brought_to_its_end_goes_too(aws: Aws, emulator: Emulator) -> None:
    table, clock = made(emulator), Clock()
    async with opened(aws, table, clock) as store:
        ended = await waits(store, await held(store, "job"))
        await store.budgets.change("m", lambda _: Window(heard=True))
        # It knows nothing of queues, and so leaves them on the row.
        emulator.client("dynamodb").update_item(
            TableName=table, Key=items.row_key(ended.id), UpdateExpression="REMOVE due_at, due_shard, ready_at"
        )
        clock.now += ABANDONED_AFTER + 1
        assert await store.queues.heads(QUEUE, Lane.FRESH, 9) == []
        assert await store.queues.depths() == []


async def test_a_replica_with_a_wrong_clock_holds_up_nobody(aws: Aws, emulator: Emulator) -> None:
    table, right = made(emulator), time.time
    ages = replace(CURRENT, apart=APART_AT_MOST)
    async with (
        opened(aws, table, right, ages=ages) as store,
        opened(aws, table, lambda: right() + 3_600, ages=ages) as off,
    ):
        await store.budgets.change("m", lambda _: Window(heard=True, limit=30))
        with pytest.raises(StoreTrouble, match="off DynamoDB's"):
            await FleetBudget(off.budgets, off.queues, terms=Terms(), clock=lambda: right() + 3_600).take("m", 1)
        budget = FleetBudget(store.budgets, store.queues, terms=Terms(), clock=right)
        assert (await budget.take("m", 31)).wait <= LENGTH + ROUNDING


async def test_an_entry_that_cannot_be_deleted_calls_nobody_up_twice(
    through: Aws, aws: Aws, emulator: Emulator, faulty: Faulty
) -> None:
    table, clock = made(emulator), Clock()
    async with opened(through, table, clock) as store, opened(aws, table, clock) as seen:
        standing = await waits(seen, await held(seen, "job"))
        faulty.rules(
            {"service": "dynamodb", "operation": "DeleteItem", "error": {"code": "InternalServerError", "status": 500}}
        )
        assert [each.id for each in await store.table.claim(1, only=[standing.id], queue=QUEUE)] == ["job"]
        assert entries(emulator, table) == 1
        assert await seen.queues.heads(QUEUE, Lane.FRESH, 9) == []
        assert await seen.table.claim(1, only=[standing.id], queue=QUEUE) == []


async def test_a_save_whose_entry_is_refused_is_made_again_whole(
    through: Aws, aws: Aws, emulator: Emulator, faulty: Faulty
) -> None:
    table, clock = made(emulator), Clock()
    async with opened(through, table, clock) as store, opened(aws, table, clock) as seen:
        claimed = await held(seen, "job")
        too_much = {"error": {"code": "ProvisionedThroughputExceededException", "status": 400}}
        faulty.rules({"service": "dynamodb", "operation": "PutItem", "times": 1, **too_much})
        await insisted(lambda: waits(store, claimed))
        assert [each.id for each in await seen.queues.heads(QUEUE, Lane.FRESH, 9)] == ["job"]


async def test_a_grant_whose_acknowledgement_is_lost_is_one_grant(
    through: Aws, aws: Aws, emulator: Emulator, faulty: Faulty
) -> None:
    table, clock = made(emulator), Clock()
    async with opened(through, table, clock) as store, opened(aws, table, clock) as seen:
        await seen.budgets.change("m", lambda _: Window(heard=True, limit=30))
        budget = FleetBudget(store.budgets, store.queues, terms=Terms(), clock=clock)
        faulty.rules({"service": "dynamodb", "operation": "PutItem", "times": 1, **LOST})
        assert (await budget.take("m", 7)).count == 7
        assert (await seen.budgets.all())["m"].granted == 7
