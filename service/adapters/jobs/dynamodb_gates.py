"""Gates, one item each; one that is open again stays as an item, so that who opened it knows its own write."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_calls import ConditionFailed, Item, OutcomeUnclear
from service.adapters.jobs.dynamodb_items import SHARDS, Stored
from service.adapters.jobs.dynamodb_schema import DUE
from service.adapters.jobs.dynamodb_writes import ROUNDS, UNCLEAR_AT_MOST, Writes, absent
from service.adapters.jobs.gating import first_closed, probed
from service.engine import rules
from service.engine.errors import LeaseLost
from service.engine.row import Lane, RowId
from service.ports.store import Closed

UNPARKED_AT_ONCE: Final = 16
PARTITION: Final = "gates"


@dataclass(frozen=True)
class Wanted:
    """What a gate is to be; None: open."""

    closed: Closed | None


class DynamoGates:
    """Gates."""

    def __init__(self, writes: Writes, clock: Callable[[], float]) -> None:
        self._writes = writes
        self._clock = clock

    async def closed(self) -> Sequence[Closed]:
        answer = await self._writes.calls.on_table(
            "query",
            KeyConditionExpression="#pk = :pk",
            ExpressionAttributeNames={"#pk": "pk"},
            ExpressionAttributeValues={":pk": {"S": PARTITION}},
            ConsistentRead=True,
        )
        return [closed for item in answer["Items"] if (closed := closed_of(item))]

    async def probe(self, gate: str) -> bool:
        def decide(standing: Closed | None) -> Wanted | None:
            now = self._clock()
            return None if standing is None or now < standing.next_probe_at else Wanted(probed(standing, now))

        before, after = await self._change(gate, decide)
        return before is None or after is not None

    async def shut(self, gate: str, reason: str) -> tuple[Closed, bool]:
        def decide(standing: Closed | None) -> Wanted | None:
            if standing is None:
                return Wanted(first_closed(gate, reason, self._clock()))
            return None if standing.reason == reason else Wanted(replace(standing, reason=reason))

        before, after = await self._change(gate, decide)
        shut = after.closed if after else before
        assert shut is not None
        return shut, before is None

    async def reopen(self, gate: str) -> bool:
        before, _ = await self._change(gate, lambda standing: None if standing is None else Wanted(None))
        await self._unpark(gate)
        return before is not None

    async def _change(
        self, gate: str, decide: Callable[[Closed | None], Wanted | None]
    ) -> tuple[Closed | None, Wanted | None]:
        """The gate before, and what was written (None: nothing was to be)."""
        mark, unclear = self._writes.mark(), 0
        item = await self._gate(gate)
        for round_ in range(ROUNDS):
            standing = closed_of(item)
            wanted = decide(standing)
            if wanted is None:
                return standing, None
            try:
                await self._write(gate, wanted, mark, item)
            except ConditionFailed:
                await self._writes.pause(round_)
            except OutcomeUnclear:
                unclear += 1
                if unclear > UNCLEAR_AT_MOST:
                    raise
            else:
                return standing, wanted
            item = await self._gate(gate)
            if item is not None and item["write"]["S"] == mark:
                return standing, wanted
        raise self._writes.beset()

    async def _gate(self, gate: str) -> Item | None:
        answer = await self._writes.calls.on_table("get_item", Key=items.key(PARTITION, gate), ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    async def _write(self, gate: str, wanted: Wanted, mark: str, over: Item | None) -> None:
        said = {} if wanted.closed is None else items.spelled(asdict(wanted.closed))
        condition: Mapping[str, Any] = absent()
        if over is not None:
            condition = {
                "ConditionExpression": "#write = :was",
                "ExpressionAttributeNames": {"#write": "write"},
                "ExpressionAttributeValues": {":was": over["write"]},
            }
        item = {**items.key(PARTITION, gate), **said, "write": {"S": mark}}
        await self._writes.calls.on_table("put_item", Item=item, **condition)

    async def _unpark(self, gate: str) -> None:
        """Make due what waits at the gate; a row that the index does not show yet comes due by itself."""
        partitions = [f"{lane}#{part}" for lane in Lane for part in range(SHARDS)]
        found = await asyncio.gather(*(self._parked(partition, gate) for partition in partitions))
        standing = await self._writes.read_many([row_id for some in found for row_id in some])
        turns = asyncio.Semaphore(UNPARKED_AT_ONCE)

        def decide(stored: Stored | None) -> Stored:
            if stored is None:
                raise LeaseLost
            fits = stored.row.parked == gate and stored.row.schema == rules.SCHEMA
            return replace(stored, row=rules.unparked(stored.row, self._clock())) if fits else stored

        async def unpark(stored: Stored) -> None:
            async with turns:
                with suppress(LeaseLost):
                    await self._writes.change(stored.row.id, decide, first=stored, outside=True)

        await asyncio.gather(*map(unpark, standing.values()))

    async def _parked(self, partition: str, gate: str) -> Sequence[RowId]:
        asked: dict[str, Any] = {
            "IndexName": DUE.name,
            "KeyConditionExpression": "#shard = :shard",
            "FilterExpression": "#parked = :gate",
            "ProjectionExpression": "#pk",
            "ExpressionAttributeNames": {"#shard": DUE.hash_key, "#parked": "parked", "#pk": "pk"},
            "ExpressionAttributeValues": items.spelled({":shard": partition, ":gate": gate}),
        }
        found: list[RowId] = []
        while True:
            answer = await self._writes.calls.on_table("query", **asked)
            found += [items.row_id_of(item) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return found
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def closed_of(item: Item | None) -> Closed | None:
    """The gate, if it is shut."""
    if item is None or "gate" not in item:
        return None
    value = items.plain(item)
    return Closed(**{name: value[name] for name in Closed.__dataclass_fields__})
