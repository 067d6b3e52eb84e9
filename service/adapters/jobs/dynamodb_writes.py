"""Changing a row: read it, let the rules decide, write only over what was read, and know one's own write again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final, TypeGuard

import anyio

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_calls import Calls, Canceled, ConditionFailed, Item, OutcomeUnclear
from service.adapters.jobs.dynamodb_items import HEARD_KEPT, Stored, Value
from service.engine.errors import StoreTrouble
from service.engine.row import RowId

Decide = Callable[[Stored | None], Stored]
"""What the row becomes; the same object: nothing is written. May raise, then nothing is written either."""

ROUNDS: Final = 16
"""Times that others may be quicker before we give up."""
UNCLEAR_AT_MOST: Final = 2
"""Times that a write without an answer is looked for and repeated."""
FIRST_PAUSE: Final = 0.004
LONGEST_PAUSE: Final = 0.25
KEYS_AT_ONCE: Final = 100

WITHOUT_FACTS: Final = (
    *("pk", "status", "schema", "lane", "created_at", "updated_at", "due_at", "lease_until", "claimable_at", "token"),
    *("claims", "callbacks", "callbacks_checked", "subject", "parked", "queue", "wants", "revision", "added"),
    *("write", "heard", "names", "owned"),
)


class BesideFailed(Exception):
    """What was to be written together with the row cannot be; `items` is what stands in its place."""

    def __init__(self, found: Sequence[Item | None]) -> None:
        super().__init__("another stands there")
        self.items = found


class Writes:
    """Compare and set on rows. Ended ones may be forgotten `keep` seconds after their last write."""

    def __init__(self, calls: Calls, *, keep: float, random: Random) -> None:
        self.calls = calls
        self.keep = keep
        self._random = random

    def mark(self) -> str:
        """Nobody else's."""
        return f"{self._random.getrandbits(48):012x}"

    async def pause(self, round_: int) -> None:
        """Wait a little at random, longer each time, for those who were quicker."""
        await anyio.sleep(self._random.uniform(0.2, 1.0) * min(FIRST_PAUSE * 2.0**round_, LONGEST_PAUSE))

    async def read(self, row_id: RowId) -> Stored | None:
        """The row as it stands now. Raises StoreTrouble."""
        answer = await self.calls.on_table("get_item", Key=items.row_key(row_id), ConsistentRead=True)
        return items.stored_of(answer["Item"]) if "Item" in answer else None

    async def read_many(self, row_ids: Sequence[RowId], *, facts: bool = True) -> Mapping[RowId, Stored]:
        """The rows as they stand now, those that stand. Raises StoreTrouble."""
        found: dict[RowId, Stored] = {}
        wanted = [items.row_key(row_id) for row_id in dict.fromkeys(row_ids)]
        if len(wanted) == 1:
            only = await self.read(row_ids[0])
            return {} if only is None else {only.row.id: only}
        for start in range(0, len(wanted), KEYS_AT_ONCE):
            for item in await self._items(wanted[start : start + KEYS_AT_ONCE], facts=facts):
                stored = items.stored_of(item)
                found[stored.row.id] = stored
        return found

    async def _items(self, wanted: Sequence[Item], *, facts: bool) -> Sequence[Item]:
        table, found = self.calls.table, list[Item]()
        asked: Mapping[str, Any] = {table: {"Keys": wanted, "ConsistentRead": True, **({} if facts else projection())}}
        for round_ in range(ROUNDS):
            answer = await self.calls.anywhere("batch_get_item", RequestItems=asked)
            found += answer["Responses"].get(table, [])
            asked = answer.get("UnprocessedKeys", {})
            if not asked:
                return found
            await self.pause(round_ + 4)
        raise StoreTrouble(f"the job table {table} is asked too much (it leaves reads undone)")

    async def add(self, stored: Stored) -> tuple[Stored, bool]:
        """The row that stands now, and whether it is this one, of its mark `added`. Raises StoreTrouble, Oversized."""
        item, unclear = items.item_of(stored, self.keep), 0
        for round_ in range(ROUNDS):
            try:
                await self.calls.on_table("put_item", Item=item, **absent())
            except ConditionFailed as failed:
                standing = items.stored_of(failed.item) if failed.item else await self.read(stored.row.id)
                if standing is not None:
                    return standing, standing.added == stored.added
            except OutcomeUnclear:
                unclear += 1
                if unclear > UNCLEAR_AT_MOST:
                    raise
            else:
                return stored, True
            await self.pause(round_)
        raise self.beset()

    async def change(
        self,
        row_id: RowId,
        decide: Decide,
        *,
        first: Stored | None = None,
        outside: bool = False,
        mark: str | None = None,
        beside: Sequence[Mapping[str, Any]] = (),
    ) -> Stored:
        """The row as `decide` wants it, or as it stands if that was written already and its answer lost.

        `first` is the row as it was just read, if it was. `outside`: not by who holds it. `mark`: that of an earlier
        try. `beside` is written in the same transaction, or neither is. Raises what `decide` raises, BesideFailed,
        StoreTrouble, Oversized.
        """
        standing = first or await self.read(row_id)
        if mark is not None and bears(standing, mark):
            return standing
        mark, unclear = mark or self.mark(), 0
        for round_ in range(ROUNDS):
            wanted = decide(standing)
            if wanted is standing or standing is None:
                return wanted
            wanted = marked(wanted, mark, standing, outside=outside)
            try:
                await self._write(standing, wanted, beside, f"{mark}-{round_}")
            except ConditionFailed as failed:
                standing = items.stored_of(failed.item) if failed.item else await self.read(row_id)
            except OutcomeUnclear:
                unclear += 1
                if unclear > UNCLEAR_AT_MOST:
                    raise
                standing = await self.read(row_id)
            else:
                return wanted
            if bears(standing, mark):
                return standing
            await self.pause(round_)
        raise self.beset()

    def beset(self) -> StoreTrouble:
        return StoreTrouble(f"others change a row of the job table {self.calls.table} all the time")

    async def _write(self, old: Stored, new: Stored, beside: Sequence[Mapping[str, Any]], token: str) -> None:
        update = {"Key": items.row_key(new.row.id), **changing(*changes(old, new, self.keep), old.revision)}
        if beside:
            await self.transact([{"Update": {"TableName": self.calls.table, **update}}, *beside], token)
        else:
            await self.calls.on_table("update_item", **update)

    async def transact(self, writes: Sequence[Mapping[str, Any]], token: str) -> None:
        """All of it or nothing. Raises ConditionFailed about the first write, BesideFailed about others."""
        try:
            await self.calls.anywhere("transact_write_items", TransactItems=list(writes), ClientRequestToken=token)
        except Canceled as canceled:
            failed = [code == "ConditionalCheckFailed" for code, _ in canceled.reasons]
            if failed[0]:
                raise ConditionFailed(canceled.reasons[0][1]) from None
            if any(failed):
                raise BesideFailed([item for _, item in canceled.reasons[1:]]) from None
            # Throttled, or met another transaction: nothing was written, and it is tried again like a lost race.
            raise ConditionFailed(None) from None


def bears(standing: Stored | None, mark: str) -> TypeGuard[Stored]:
    """Whether the write of that mark is among the last."""
    return standing is not None and mark in {standing.write, *standing.heard}


def marked(wanted: Stored, mark: str, standing: Stored, *, outside: bool) -> Stored:
    """The row under its next revision, with the mark where those of its kind are kept."""
    wanted = replace(wanted, revision=standing.revision + 1)
    if outside:
        return replace(wanted, heard=(*standing.heard, mark)[-HEARD_KEPT:])
    return replace(wanted, write=mark)


def changes(old: Stored, new: Stored, keep: float) -> tuple[Mapping[str, Value], Sequence[str]]:
    """The attributes to set and those to remove. Raises TypeError, Oversized."""
    before, after = items.attributes(old, keep), items.attributes(new, keep)
    setting = {name: value for name, value in after.items() if before.get(name) != value}
    if new.row.facts != old.row.facts:
        setting["facts"] = items.packed(new.row.facts)
    return setting, sorted(before.keys() - after.keys())


def changing(setting: Mapping[str, Value], removing: Sequence[str], revision: int) -> Mapping[str, Any]:
    """The same as an update over that revision. Every name is spelled apart: DynamoDB reserves hundreds of words."""
    names = {f"#{name}": name for name in (*setting, *removing, "revision")}
    values = {f":{name}": items.spell(value) for name, value in setting.items()}
    expression = "SET " + ", ".join(f"#{name} = :{name}" for name in setting)
    if removing:
        expression += " REMOVE " + ", ".join(f"#{name}" for name in removing)
    return {
        "UpdateExpression": expression,
        "ConditionExpression": "#revision = :was",
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {**values, ":was": items.spell(revision)},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def absent() -> Mapping[str, Any]:
    """The condition that nothing stands there yet."""
    return {"ConditionExpression": "attribute_not_exists(pk)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def projection() -> Mapping[str, Any]:
    """Everything that the rules look at, without the facts."""
    return {
        "ProjectionExpression": ", ".join(f"#{name}" for name in WITHOUT_FACTS),
        "ExpressionAttributeNames": {f"#{name}": name for name in WITHOUT_FACTS},
    }
