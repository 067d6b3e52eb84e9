"""The one table in DynamoDB: the rules, each between a consistent read and a write over exactly what was read."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_books import entering
from service.adapters.jobs.dynamodb_callbacks import Callbacks
from service.adapters.jobs.dynamodb_calls import ConditionFailed, OutcomeUnclear
from service.adapters.jobs.dynamodb_claims import Claims
from service.adapters.jobs.dynamodb_items import Stored
from service.adapters.jobs.dynamodb_queues import Entries
from service.adapters.jobs.dynamodb_schema import EXPIRES_AT
from service.adapters.jobs.dynamodb_writes import ROUNDS, UNCLEAR_AT_MOST, BesideFailed, Decide, Writes
from service.engine import rules
from service.engine.errors import LeaseLost, OwnedByAnother, StoreTrouble
from service.engine.row import Callback, Heard, Lane, Row, RowId, Save, Token

NAMES_AT_MOST: Final = 200
"""Further names of one row; what else it is called is not kept."""

NAMES_OUTLIVE: Final = 180 * 86_400.0
"""Seconds that names are kept beyond the time for which ended rows are: a row may be long on its way, or come again."""


class DynamoTable:
    """A Table. A lease lasts `lease` seconds; the clock gives epoch seconds, the same for all who share the table."""

    def __init__(
        self,
        writes: Writes,
        claims: Claims,
        callbacks: Callbacks,
        entries: Entries,
        *,
        steps: rules.Steps,
        lease: float,
        clock: Callable[[], float],
    ) -> None:
        self._writes = writes
        self._claims = claims
        self._callbacks = callbacks
        self._entries = entries
        self._steps = steps
        self._lease = lease
        self._clock = clock

    async def add(self, row: Row, names: Sequence[str] = ()) -> tuple[Row, bool]:
        standing = await self._writes.read(row.id)
        if standing is None:
            await self._name(row, names)
            new = Stored(row=row, added=self._writes.mark(), names=digests(names))
            standing, created = await self._writes.add(new)
            if created:
                return row, True
        await self._gather(standing, names)
        return standing.row, False

    async def claim(
        self, limit: int, *, only: Sequence[RowId] | None = None, queue: str | None = None
    ) -> Sequence[Row]:
        if limit < 1:
            return []
        if only is None:
            return await self._claims.due(limit)
        claimed = await self._claims.these(only, limit, queue=queue)
        if queue is not None:
            await asyncio.gather(*(self._left(row, queue) for row in claimed))
        return claimed

    async def renew(self, row_id: RowId, token: Token, *, progress: bool = False) -> Row:
        def decide(stored: Stored | None) -> Stored:
            stored = held(stored, token)
            row = rules.renewed(stored.row, token, self._clock(), self._lease, progress=progress)
            return replace(stored, row=row)

        return (await self._writes.change(row_id, decide)).row

    async def save(self, row_id: RowId, token: Token, save: Save) -> Row:
        standing = held(await self._writes.read(row_id), token)

        def decide(stored: Stored | None) -> Stored:
            stored = held(stored, token)
            row = rules.saved(stored.row, token, save, self._clock(), self._steps)
            owned = stored.owned if save.owns is None else stored.owned | {save.owns}
            return replace(stored, row=row, names=gathered(stored.names, save.names), owned=owned)

        decide(standing)
        # What the row is known by already leads to it: the names are written before the row says that they are its own.
        await self._name(standing.row, [name for name in save.names if items.digest(name) not in standing.names])
        books = [] if save.entry is None else [entering(self._writes.calls.table, save.entry)]
        if save.queue is not None:
            await self._entries.enter(standing.row, save.queue, save.wants)
        if save.owns is None or save.owns in standing.owned:
            saved = (await self._writes.change(row_id, decide, first=standing, beside=books)).row
        else:
            saved = await self._owning(standing, decide, save.owns, books)
        if standing.row.queue not in {None, saved.queue}:
            await self._left(standing.row, standing.row.queue)
        return saved

    async def _left(self, row: Row, queue: str | None) -> None:
        """An entry that cannot be deleted now is left behind, and found."""
        if queue is not None:
            with suppress(StoreTrouble):
                await self._entries.leave(row, queue)

    async def _owning(self, standing: Stored, decide: Decide, owned: str, books: Sequence[Mapping[str, Any]]) -> Row:
        """The change together with the name's only owner. Raises OwnedByAnother."""
        row_id, gone = standing.row.id, standing.row.id
        for first in (standing, None):
            beside = [self._ownership(row_id, owned, gone), *books]
            try:
                return (await self._writes.change(row_id, decide, first=first, beside=beside)).row
            except BesideFailed as failed:
                gone = await self._outlived(failed, owned)
        raise OwnedByAnother

    async def _outlived(self, failed: BesideFailed, owned: str) -> RowId:
        """The owner, if all that is left of it is the name. Raises OwnedByAnother."""
        if not failed.items or not failed.items[0]:
            raise OwnedByAnother
        owner = RowId(failed.items[0]["row_id"]["S"])
        standing = await self._writes.read(owner)
        if standing is not None and owned in standing.owned:
            raise OwnedByAnother
        return owner

    def _ownership(self, row_id: RowId, owned: str, gone: RowId) -> Mapping[str, Any]:
        item = {**items.owned_key(owned), "row_id": {"S": row_id}, EXPIRES_AT: items.spell(self._outlasting())}
        return {
            "Put": {
                "TableName": self._writes.calls.table,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(pk) OR row_id IN (:me, :gone)",
                "ExpressionAttributeValues": {":me": {"S": row_id}, ":gone": {"S": gone}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    async def call_back(self, callback: Callback) -> Heard:
        return await self._callbacks.call_back(callback)

    async def withdraw(self, row_id: RowId, token: Token) -> None:
        tried = False
        for round_ in range(ROUNDS):
            standing = await self._writes.read(row_id)
            if standing is None and tried:
                return
            stored = held(standing, token)
            try:
                await self._writes.transact(self._removal(stored), self._writes.mark())
            except ConditionFailed:
                await self._writes.pause(round_)
            except OutcomeUnclear:
                if round_ >= UNCLEAR_AT_MOST:
                    raise
            else:
                return
            tried = True
        raise self._writes.beset()

    def _removal(self, stored: Stored) -> Sequence[Mapping[str, Any]]:
        table, row_id = self._writes.calls.table, stored.row.id
        over = {
            "ConditionExpression": "#revision = :was",
            "ExpressionAttributeNames": {"#revision": "revision"},
            "ExpressionAttributeValues": {":was": items.spell(stored.revision)},
        }
        keys = [items.owned_key(name) for name in sorted(stored.owned)]
        removed = [{"Delete": {"TableName": table, "Key": key}} for key in keys]
        return [{"Delete": {"TableName": table, "Key": items.row_key(row_id), **over}}, *removed]

    async def reopen(self, row_id: RowId, status: str, facts: Mapping[str, object], lane: Lane) -> Row:
        def decide(stored: Stored | None) -> Stored:
            if stored is None:
                raise KeyError(row_id)
            return replace(stored, row=rules.reopened(stored.row, status, facts, lane, self._clock(), self._steps))

        standing = await self._writes.read(row_id)
        return decide(None).row if standing is None else (await self._writes.change(row_id, decide, first=standing)).row

    async def _gather(self, standing: Stored, names: Sequence[str]) -> None:
        """Let the row that stands be known by these names too; one of another version stays as it is."""
        if digests(names) <= standing.names or not self._steps.understood(standing.row):
            return

        def decide(stored: Stored | None) -> Stored:
            if stored is None:
                raise LeaseLost
            known = gathered(stored.names, names)
            return stored if known == stored.names else replace(stored, names=known)

        await self._name(standing.row, names)
        await self._writes.change(standing.row.id, decide, first=standing, outside=True)

    async def _name(self, row: Row, names: Sequence[str]) -> None:
        """Let the names lead to the row; which of them are its own says the row."""
        expires = items.spell(self._outlasting())
        written = [{**items.name_key(name, row), "row_id": {"S": row.id}, EXPIRES_AT: expires} for name in set(names)]
        puts = (self._writes.calls.on_table("put_item", Item=item) for item in written[:NAMES_AT_MOST])
        await asyncio.gather(*puts)

    def _outlasting(self) -> int:
        return int(self._clock() + self._writes.keep + NAMES_OUTLIVE)


def held(stored: Stored | None, token: Token) -> Stored:
    """Raises LeaseLost unless `token` still holds the row."""
    if stored is None:
        raise LeaseLost
    rules.held(stored.row, token)
    return stored


def digests(names: Sequence[str]) -> frozenset[bytes]:
    return frozenset([items.digest(name) for name in dict.fromkeys(names)][:NAMES_AT_MOST])


def gathered(known: frozenset[bytes], names: Sequence[str]) -> frozenset[bytes]:
    """What is known with what is new, as far as there is room."""
    new = sorted(digests(names) - known)
    return known | set(new[: max(0, NAMES_AT_MOST - len(known))])
