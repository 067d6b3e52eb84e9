"""Who waits in a queue: an entry beside each row, in the order of creation. The row decides, an entry says where.

An entry is written before its row waits and deleted after it does not. One that a crash left behind is deleted by
whoever finds it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_budgets import DynamoBudgets
from service.adapters.jobs.dynamodb_calls import Item
from service.adapters.jobs.dynamodb_counts import ACTIVE_WORTH, Kept, Worth, consumed
from service.adapters.jobs.dynamodb_schema import PK, SK
from service.adapters.jobs.dynamodb_writes import Writes
from service.domain.models.allowance import queue_of
from service.engine import rules
from service.engine.row import Depth, Lane, Row, RowId, Waiting

ABANDONED_AFTER: Final = 60.0
"""Seconds after which an entry without a row that waits is one that a crash left behind."""


class Entries:
    """The entries of rows that wait."""

    def __init__(self, writes: Writes, clock: Callable[[], float]) -> None:
        self._writes = writes
        self._clock = clock

    async def enter(self, row: Row, queue: str, wants: int) -> None:
        """The row is about to wait in this queue. Again is fine."""
        said = items.spelled({"row_id": row.id, "wants": wants, "at": self._clock()})
        await self._writes.calls.on_table("put_item", Item={**entry_key(row, queue), **said})

    async def leave(self, row: Row, queue: str) -> None:
        """The row waits there no longer."""
        await self._writes.calls.on_table("delete_item", Key=entry_key(row, queue))


class DynamoQueues:
    """Queues."""

    def __init__(
        self,
        writes: Writes,
        budgets: DynamoBudgets,
        *,
        steps: rules.Steps,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        worth: Worth = ACTIVE_WORTH,
    ) -> None:
        self._writes = writes
        self._budgets = budgets
        self._steps = steps
        self._clock = clock
        self._depths = Kept(self._measured, worth, monotonic)

    async def heads(self, queue: str, lane: Lane, limit: int) -> Sequence[Waiting]:
        found: list[Waiting] = []
        start: Mapping[str, Any] = {}
        while len(found) < limit:
            answer = await self._page(partition(queue, lane), ConsistentRead=True, Limit=limit, **start)
            found += await self._waiting(answer["Items"], queue)
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return found[:limit]

    async def depths(self, queue: str | None = None) -> Sequence[Depth]:
        return [each for each in await self._depths.get() if queue in {None, each.queue}]

    async def _waiting(self, entries: Sequence[Item], queue: str) -> Sequence[Waiting]:
        """Those of them that wait and that nobody is at; what was left behind goes."""
        if not entries:
            return []
        ids = {RowId(entry["row_id"]["S"]): entry for entry in entries}
        standing = await self._writes.read_many(list(ids), facts=False)
        now, abandoned = self._clock(), list[Item]()
        found: list[Waiting] = []
        for row_id, entry in ids.items():
            row = standing[row_id].row if row_id in standing else None
            # An older replica, which knows of no queues, may have ended the row with the queue still on it.
            if row is None or row.ended or row.queue != queue or entry_key(row, queue)[PK] != entry[PK]:
                if float(entry["at"]["N"]) < now - ABANDONED_AFTER:
                    abandoned.append({PK: entry[PK], SK: entry[SK]})
            elif self._steps.understood(row) and rules.callable_from(row, queue, now):
                found.append(Waiting(id=row.id, lane=row.lane, created_at=row.created_at, wants=row.wants))
        await asyncio.gather(*(self._writes.calls.on_table("delete_item", Key=key) for key in abandoned))
        return found

    async def _measured(self) -> tuple[Sequence[Depth], float]:
        queues = [queue_of(model) for model in await self._budgets.all()]
        found = await asyncio.gather(*(self._depth(queue, lane) for queue in queues for lane in Lane))
        return [depth for depth, _ in found if depth.rows], sum(units for _, units in found)

    async def _depth(self, queue: str, lane: Lane) -> tuple[Depth, float]:
        """Page by page, none of which is kept: thousands may wait."""
        rows, wants, units = 0, 0, 0.0
        start: Mapping[str, Any] = {}
        while True:
            asked = {"ProjectionExpression": "wants", "ReturnConsumedCapacity": "TOTAL", **start}
            page = await self._page(partition(queue, lane), **asked)
            rows += len(page["Items"])
            wants += sum(int(entry["wants"]["N"]) for entry in page["Items"])
            units += consumed(page)
            if "LastEvaluatedKey" not in page:
                return Depth(queue=queue, lane=lane, rows=rows, wants=wants), units
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    async def _page(self, pk: str, **more: Any) -> Mapping[str, Any]:
        return await self._writes.calls.on_table(
            "query",
            KeyConditionExpression="#pk = :pk",
            ExpressionAttributeNames={"#pk": PK},
            ExpressionAttributeValues={":pk": {"S": pk}},
            **more,
        )


def partition(queue: str, lane: Lane) -> str:
    return f"queue#{queue}#{lane}"


def entry_key(row: Row, queue: str) -> Item:
    return items.key(partition(queue, row.lane), items.created_key(row))
