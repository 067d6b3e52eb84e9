"""Claims: what is due is looked up in the index, which may be behind; each row is then taken by a write of its own."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_items import SHARDS, Stored
from service.adapters.jobs.dynamodb_schema import DUE
from service.adapters.jobs.dynamodb_writes import Writes
from service.engine import rules
from service.engine.errors import EngineError, StoreTrouble
from service.engine.row import Lane, Row, RowId

LOOK_EVERY: Final = 0.25
"""Seconds between two looks at the index by one process, which asks all shards of both lanes."""
CLAIMED_AT_ONCE: Final = 16
LANES: Final = (Lane.FRESH, Lane.BACKFILL)

Candidates = dict[Lane, list[tuple[float, RowId]]]


class NotClaimable(EngineError):
    """Another was quicker, or the index was behind."""


class Claims:
    """What may be claimed, and the claiming of it.

    What one look found and was not taken is kept for the next claim, so that many claims in a row cost few looks.
    `monotonic` is our own clock, in seconds.
    """

    def __init__(
        self,
        writes: Writes,
        *,
        steps: rules.Steps,
        lease: float,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        random: Random,
        look_every: float = LOOK_EVERY,
    ) -> None:
        self._writes = writes
        self._steps = steps
        self._lease = lease
        self._clock = clock
        self._monotonic = monotonic
        self._random = random
        self._look_every = look_every
        self._looked = float("-inf")
        self._candidates: Candidates = {lane: [] for lane in LANES}
        self._taken = 0
        self._one_looks = asyncio.Lock()

    async def due(self, limit: int) -> Sequence[Row]:
        """Claim out of what is due. Nothing while our clock and DynamoDB's differ. Raises StoreTrouble."""
        claimed: list[Row] = []
        async with self._one_looks:
            await self._look()
            while len(claimed) < limit and not self._writes.calls.clock_off:
                chosen = self._chosen(limit - len(claimed))
                if not chosen:
                    break
                claimed += await self.these(chosen, len(chosen), already=len(claimed))
        return claimed

    async def these(
        self, row_ids: Sequence[RowId], limit: int, *, queue: str | None = None, already: int = 0
    ) -> Sequence[Row]:
        """Claim these, as far as they may be claimed; `already` are claimed, so that trouble must not hide them.

        With `queue`, those of them that wait in it.
        """
        try:
            standing = await self._writes.read_many(row_ids)
        except StoreTrouble:
            if already:
                return []
            raise
        if self._writes.calls.clock_off:
            return []
        now, of_them = self._clock(), (standing[each] for each in dict.fromkeys(row_ids) if each in standing)
        fit = [each for each in of_them if self._may(each, now, queue)]
        claimed: list[Row] = []
        while fit and len(claimed) < limit:
            size = min(limit - len(claimed), CLAIMED_AT_ONCE)
            some, fit = fit[:size], fit[size:]
            outcomes = await asyncio.gather(*(self._claim(each, queue) for each in some), return_exceptions=True)
            claimed += [each for each in outcomes if isinstance(each, Row)]
            self._taken += sum(isinstance(each, Row) for each in outcomes)
            failed = [
                each for each in outcomes if isinstance(each, BaseException) and not isinstance(each, NotClaimable)
            ]
            if failed and (claimed or already):
                break
            if failed:
                raise failed[0]
        return claimed

    async def _claim(self, standing: Stored, queue: str | None) -> Row:
        def decide(stored: Stored | None) -> Stored:
            now = self._clock()
            if stored is None or not self._may(stored, now, queue):
                raise NotClaimable
            claim = rules.claimed if queue is None else rules.called_up
            return replace(stored, row=claim(stored.row, now, self._lease))

        return (await self._writes.change(standing.row.id, decide, first=standing)).row

    def _may(self, stored: Stored, now: float, queue: str | None) -> bool:
        row = stored.row
        may = rules.claimable(row, now) if queue is None else rules.callable_from(row, queue, now)
        return self._steps.understood(row) and may

    def _chosen(self, limit: int) -> Sequence[RowId]:
        """Some of the candidates, which are candidates no longer."""
        fresh, backfill = (self._candidates[lane][: rules.OLDEST_CONSIDERED] for lane in LANES)
        chosen = rules.picked(fresh, backfill, limit, self._taken, self._random)
        gone = set(chosen)
        for lane in LANES:
            self._candidates[lane] = [each for each in self._candidates[lane] if each[1] not in gone]
        return chosen

    async def _look(self) -> None:
        if self._monotonic() - self._looked < self._look_every:
            return
        looked, now = self._monotonic(), self._clock()
        partitions = [(lane, number) for lane in LANES for number in range(SHARDS)]
        found = await asyncio.gather(*(self._due(f"{lane}#{number}", now) for lane, number in partitions))
        # Only now: after a look that failed, a claim that did not look would pass for a store that answers again.
        self._looked = looked
        for lane in LANES:
            merged = (each for (of, _), some in zip(partitions, found, strict=True) if of is lane for each in some)
            self._candidates[lane] = sorted(merged)[: rules.OLDEST_CONSIDERED]

    async def _due(self, partition: str, now: float) -> Sequence[tuple[float, RowId]]:
        """The longest due of a partition that this code may touch."""
        found: list[tuple[float, RowId]] = []
        start: Mapping[str, Any] = {}
        while len(found) < rules.OLDEST_CONSIDERED:
            answer = await self._page(partition, now, start)
            found += [(float(item[DUE.range_key]["N"]), items.row_id_of(item)) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return found

    async def _page(self, partition: str, now: float, start: Mapping[str, Any]) -> Mapping[str, Any]:
        known = {f":s{number}": {"S": str(status)} for number, status in enumerate(sorted(self._steps.known()))}
        return await self._writes.calls.on_table(
            "query",
            IndexName=DUE.name,
            KeyConditionExpression="#shard = :shard AND #ready <= :now",
            FilterExpression=f"#schema = :schema AND #status IN ({', '.join(known)})",
            ProjectionExpression="#pk, #ready",
            ExpressionAttributeNames={
                "#shard": DUE.hash_key,
                "#ready": DUE.range_key,
                "#pk": "pk",
                "#schema": "schema",
                "#status": "status",
            },
            ExpressionAttributeValues={
                **known,
                **items.spelled({":shard": partition, ":now": now, ":schema": rules.SCHEMA}),
            },
            Limit=rules.OLDEST_CONSIDERED,
            **start,
        )
