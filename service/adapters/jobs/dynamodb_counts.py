"""Counting rows in the indexes, and no oftener than it is worth: what a count costs says how long it is kept."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_calls import Calls, Item
from service.adapters.jobs.dynamodb_items import SHARDS
from service.adapters.jobs.dynamodb_schema import DUE, ENDED, LISTED
from service.domain.use.limits import limited
from service.engine.row import Lane
from service.engine.rules import Steps
from service.ports.store import Count

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Worth:
    """How long a count is kept: `least` seconds, and as long as it takes for it to have cost `rate` read units each."""

    least: float
    rate: float


ACTIVE_WORTH: Final = Worth(least=1.0, rate=50.0)
ENDED_WORTH: Final = Worth(least=10.0, rate=10.0)


class Kept(Generic[T]):
    """A figure that is asked for at most once at a time, and not again while it is worth keeping."""

    def __init__(
        self, ask: Callable[[], Awaitable[tuple[T, float]]], worth: Worth, monotonic: Callable[[], float]
    ) -> None:
        self._ask = ask
        self._worth = worth
        self._monotonic = monotonic
        self._until = float("-inf")
        self._figure: T | None = None
        self._asking: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Raises what asking raises."""
        if self._asking is None:
            if self._figure is not None and self._monotonic() < self._until:
                return self._figure
            self._asking = asyncio.create_task(self._asked(), name="jobs-count")
        # In a task of its own: a count that takes longer than whoever asked will wait is there for the next one.
        return await asyncio.shield(self._asking)

    async def _asked(self) -> T:
        try:
            figure, units = await self._ask()
        finally:
            self._asking = None
        self._figure = figure
        self._until = self._monotonic() + max(self._worth.least, units / max(self._worth.rate, 1e-9))
        return figure


class Counts:
    """How many rows there are. `clock` gives epoch seconds, `monotonic` our own."""

    def __init__(
        self,
        calls: Calls,
        *,
        steps: Steps,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        active: Worth = ACTIVE_WORTH,
        ended: Worth = ENDED_WORTH,
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._statuses = sorted(str(status) for status in steps.known() if steps.ends(status))
        self._active = Kept(self._count_active, active, monotonic)
        self._ended = {status: Kept(self._counting(status), ended, monotonic) for status in self._statuses}

    async def all(self) -> Sequence[Count]:
        """By status and lane. Raises StoreTrouble."""
        active, *ended = await asyncio.gather(self._active.get(), *(each.get() for each in self._ended.values()))
        counts = [*active, *(count for some in ended for count in some)]
        return sorted(counts, key=lambda count: (count.status, count.lane))

    async def ended_since(self, since: float) -> int:
        """How many ended at or after `since` and have not been sent on. Raises StoreTrouble."""
        partitions = [f"{status}#{part}" for status in self._statuses for part in range(SHARDS)]
        range_ = {"KeyConditionExpression": "#shard = :shard AND #at >= :since"}
        names = {"#shard": ENDED.hash_key, "#at": ENDED.range_key}
        asked = (
            self._pages(
                IndexName=ENDED.name,
                Select="COUNT",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=items.spelled({":shard": partition, ":since": since}),
                **range_,
            )
            for partition in partitions
        )
        return sum(int(page["Count"]) for pages in await asyncio.gather(*asked) for page in pages)

    async def _count_active(self) -> tuple[Sequence[Count], float]:
        partitions = [(lane, number) for lane in Lane for number in range(SHARDS)]
        asked = (
            self._pages(
                IndexName=DUE.name,
                KeyConditionExpression="#shard = :shard",
                ProjectionExpression="#status, #due, #claimable, #parked",
                ExpressionAttributeNames={
                    "#shard": DUE.hash_key,
                    "#status": "status",
                    "#due": "due_at",
                    "#claimable": "claimable_at",
                    "#parked": "parked",
                },
                ExpressionAttributeValues=items.spelled({":shard": f"{lane}#{number}"}),
            )
            for lane, number in partitions
        )
        found: defaultdict[tuple[str, str], list[Item]] = defaultdict(list)
        units = 0.0
        for (lane, _), pages in zip(partitions, await asyncio.gather(*asked), strict=True):
            for page in pages:
                units += consumed(page)
                for item in page["Items"]:
                    found[item["status"]["S"], lane.value].append(item)
        now = self._clock()
        return [counted(status, lane, some, now) for (status, lane), some in found.items()], units

    def _counting(self, status: str) -> Callable[[], Awaitable[tuple[Sequence[Count], float]]]:
        async def count() -> tuple[Sequence[Count], float]:
            asked = (
                self._pages(
                    IndexName=LISTED.name,
                    Select="COUNT",
                    KeyConditionExpression="#shard = :shard",
                    FilterExpression="#lane = :lane",
                    ExpressionAttributeNames={"#shard": LISTED.hash_key, "#lane": "lane"},
                    ExpressionAttributeValues=items.spelled({":shard": f"{status}#{part}", ":lane": Lane.FRESH.value}),
                )
                for part in range(SHARDS)
            )
            pages = [page for some in await asyncio.gather(*asked) for page in some]
            fresh = sum(int(page["Count"]) for page in pages)
            every = sum(int(page["ScannedCount"]) for page in pages)
            lanes = {Lane.FRESH: fresh, Lane.BACKFILL: every - fresh}
            counts = [ended(status, lane, rows) for lane, rows in lanes.items() if rows]
            return counts, sum(map(consumed, pages))

        return count

    async def _pages(self, **asked: Any) -> Sequence[Mapping[str, Any]]:
        pages = [await self._calls.on_table("query", ReturnConsumedCapacity="TOTAL", **asked)]
        while "LastEvaluatedKey" in pages[-1]:
            after = pages[-1]["LastEvaluatedKey"]
            pages.append(
                await self._calls.on_table("query", ReturnConsumedCapacity="TOTAL", ExclusiveStartKey=after, **asked)
            )
        return pages


def counted(status: str, lane: str, found: Sequence[Item], now: float) -> Count:
    """The count of rows that have not ended, of one status and lane."""
    due = [
        at for item in found if (at := float(item["due_at"]["N"])) <= now and float(item["claimable_at"]["N"]) <= now
    ]
    gates = [item["parked"]["S"] for item in found if "parked" in item]
    over = sum(limited(gate) is not None for gate in gates)
    return Count(
        status=status,
        lane=lane,
        rows=len(found),
        due=len(due),
        parked=len(gates) - over,
        limited=over,
        oldest_due_at=min(due, default=None),
    )


def ended(status: str, lane: Lane, rows: int) -> Count:
    return Count(status=status, lane=lane.value, rows=rows, due=0, parked=0, oldest_due_at=None)


def consumed(page: Mapping[str, Any]) -> float:
    """The read units that an answer has cost, where it tells."""
    return float(page.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0))
