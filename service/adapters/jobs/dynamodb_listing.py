"""Reading the table as people do: the index says which rows, the table what they are now."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_calls import Item
from service.adapters.jobs.dynamodb_counts import Counts
from service.adapters.jobs.dynamodb_heard import LastHeard
from service.adapters.jobs.dynamodb_items import ACTIVE, SHARDS
from service.adapters.jobs.dynamodb_schema import LISTED
from service.adapters.jobs.dynamodb_writes import Writes
from service.engine.row import Row, RowId
from service.engine.rules import Steps
from service.ports.store import Count, Lately

PAGE_AT_MOST: Final = 1_000
ROUND_AT_LEAST: Final = 100
"""Rows looked at together, however few are wanted: they may turn out to be others than those."""

NEWEST: Final = "~"
"""Sorts after every key of creation."""


class DynamoJobs:
    """Jobs. What is in work counts neither as due nor as waiting; counts and pages may be a second behind."""

    def __init__(self, writes: Writes, counts: Counts, heard: LastHeard, *, steps: Steps) -> None:
        self._writes = writes
        self._counts = counts
        self._heard = heard
        self._ending = {str(status) for status in steps.known() if steps.ends(status)}
        self._going = {str(status) for status in steps.known()} - self._ending

    async def get(self, row_id: RowId) -> Row | None:
        stored = await self._writes.read(row_id)
        return None if stored is None else stored.row

    async def find(self, name: str) -> Sequence[Row]:
        named, owner = await asyncio.gather(self._named(name), self._owner(name))
        known = items.digest(name)
        standing = await self._writes.read_many([RowId(name), *owner, *named])
        found = [
            stored.row
            for stored in standing.values()
            if stored.row.id == name or known in stored.names or name in stored.owned
        ]
        return sorted(found, key=items.created_key, reverse=True)[:PAGE_AT_MOST]

    async def page(
        self,
        *,
        statuses: Sequence[str] | None = None,
        since: float | None = None,
        limit: int = 100,
        after: RowId | None = None,
    ) -> Sequence[Row]:
        wanted, before = max(0, min(limit, PAGE_AT_MOST)), NEWEST
        if after is not None:
            last = await self._writes.read(after)
            if last is None:
                return []
            before = items.created_key(last.row)
        found: list[Row] = []
        places = self._places(statuses)
        while places and len(found) < wanted:
            size = max(wanted - len(found), ROUND_AT_LEAST)
            listed = await self._listed(places, before, since, size)
            standing = await self._writes.read_many(list(listed.values()))
            rows = (standing[row_id].row for row_id in listed.values() if row_id in standing)
            found += [row for row in rows if fits(row, statuses, since)]
            if len(listed) < size:
                break
            before = min(listed)
        return found[:wanted]

    async def counts(self) -> Sequence[Count]:
        return await self._counts.all()

    async def lately(self, since: float) -> Lately:
        ended, last = await asyncio.gather(self._counts.ended_since(since), self._heard.last())
        return Lately(ended=ended, last_callback_at=last)

    def _places(self, statuses: Sequence[str] | None) -> Sequence[str]:
        """Where rows of these statuses are listed; what has not ended first, for it may go where it then is found."""
        if statuses is None:
            return [ACTIVE, *sorted(self._ending)]
        wanted = {str(status) for status in statuses}
        return [*([ACTIVE] if wanted - self._ending else []), *sorted(wanted - self._going)]

    async def _listed(self, places: Sequence[str], before: str, since: float | None, size: int) -> Mapping[str, RowId]:
        """The newest `size` entries older than `before`, by their keys of creation, newest first."""
        entries: dict[str, RowId] = {}
        for place in places:
            asked = (self._entries(f"{place}#{part}", before, since, size) for part in range(SHARDS))
            for some in await asyncio.gather(*asked):
                entries |= {item[LISTED.range_key]["S"]: items.row_id_of(item) for item in some}
        return dict(sorted(entries.items(), reverse=True)[:size])

    async def _entries(self, partition: str, before: str, since: float | None, size: int) -> Sequence[Item]:
        names = {"#shard": LISTED.hash_key, "#created": LISTED.range_key}
        values: dict[str, items.Value] = {":shard": partition, ":before": before}
        narrowed: dict[str, Any] = {"Limit": size}
        if since is not None:
            names["#ended"], values[":since"] = "ended_at", since
            narrowed = {"FilterExpression": "attribute_not_exists(#ended) OR #ended >= :since"}
        found: list[Item] = []
        while len(found) < size:
            answer = await self._writes.calls.on_table(
                "query",
                IndexName=LISTED.name,
                KeyConditionExpression="#shard = :shard AND #created < :before",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=items.spelled(values),
                ScanIndexForward=False,
                **narrowed,
            )
            found += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                break
            narrowed["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return found[:size]

    async def _named(self, name: str) -> Sequence[RowId]:
        """The newest rows that the name leads to."""
        answer = await self._writes.calls.on_table(
            "query",
            KeyConditionExpression="#pk = :pk",
            ExpressionAttributeNames={"#pk": "pk"},
            ExpressionAttributeValues={":pk": {"S": items.name_partition(name)}},
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=PAGE_AT_MOST,
        )
        return [RowId(item["row_id"]["S"]) for item in answer["Items"]]

    async def _owner(self, name: str) -> Sequence[RowId]:
        answer = await self._writes.calls.on_table("get_item", Key=items.owned_key(name), ConsistentRead=True)
        return [RowId(answer["Item"]["row_id"]["S"])] if "Item" in answer else []


def fits(row: Row, statuses: Sequence[str] | None, since: float | None) -> bool:
    return (statuses is None or row.status in statuses) and (since is None or row.updated_at >= since)
