"""Notes of what callbacks spoke of, for rows that do not own it: one item a row, beside it, the row there or not."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_calls import ConditionFailed, Item, OutcomeUnclear
from service.adapters.jobs.dynamodb_items import Value
from service.adapters.jobs.dynamodb_schema import EXPIRES_AT
from service.adapters.jobs.dynamodb_writes import ROUNDS, UNCLEAR_AT_MOST, Writes
from service.engine.row import RowId

NOTES_AT_MOST: Final = 20
"""Notes kept for one row; the newest."""

NOTES_KEPT: Final = 7 * 86_400.0
"""Seconds that a note is kept; the vendor tells of nothing older."""

Notes = Mapping[str, float]
"""When each subject was first noted (epoch seconds)."""


class NoteBook:
    """Reads and writes notes."""

    def __init__(self, writes: Writes, clock: Callable[[], float]) -> None:
        self._writes = writes
        self._clock = clock

    async def note(self, row_id: RowId, subjects: Sequence[str]) -> None:
        """Keep the subjects, durably when it returns; known ones stay as they are. Raises StoreTrouble."""
        unclear = 0
        for round_ in range(ROUNDS):
            noted, revision = await self._read(row_id)
            now = self._clock()
            fresh = newest(noted, now)
            if fresh.keys() >= set(subjects):
                return
            kept = newest(dict.fromkeys(subjects, now) | dict(fresh), now)
            try:
                await self._write(row_id, kept, revision)
            except ConditionFailed:
                await self._writes.pause(round_)
            except OutcomeUnclear:
                unclear += 1
                if unclear > UNCLEAR_AT_MOST:
                    raise
            else:
                return
        raise self._writes.beset()

    async def noted(self, row_id: RowId) -> Sequence[str]:
        """The subjects that are not too old, oldest first. Raises StoreTrouble."""
        noted, _ = await self._read(row_id)
        return sorted(newest(noted, self._clock()), key=lambda subject: (noted[subject], subject))

    async def _read(self, row_id: RowId) -> tuple[Notes, int]:
        answer = await self._writes.calls.on_table("get_item", Key=items.notes_key(row_id), ConsistentRead=True)
        item: Item | None = answer.get("Item")
        if item is None:
            return {}, 0
        value = items.plain(item)
        return dict(orjson.loads(value["notes"])), int(value["revision"])

    async def _write(self, row_id: RowId, notes: Notes, revision: int) -> None:
        values: Mapping[str, Value] = {
            "notes": orjson.dumps(list(notes.items())),
            "revision": revision + 1,
            EXPIRES_AT: int(self._clock() + NOTES_KEPT),
        }
        over: Mapping[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if revision:
            over = {
                "ConditionExpression": "#revision = :was",
                "ExpressionAttributeNames": {"#revision": "revision"},
                "ExpressionAttributeValues": {":was": items.spell(revision)},
            }
        await self._writes.calls.on_table("put_item", Item={**items.notes_key(row_id), **items.spelled(values)}, **over)


def newest(notes: Notes, now: float) -> Notes:
    """Without what is too old or too much."""
    fresh = [(subject, at) for subject, at in notes.items() if at >= now - NOTES_KEPT]
    return dict(sorted(fresh, key=lambda each: each[1])[-NOTES_AT_MOST:])
