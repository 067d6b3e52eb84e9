"""When a callback was last stored, by whichever process: one item, spared from being written by each of them."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_calls import Calls, ConditionFailed
from service.engine.errors import StoreTrouble

WRITTEN_EVERY: Final = 5.0
"""Seconds between two writes by one process; what the others are told is behind by as much at most."""


class LastHeard:
    """The time of the last callback. It is told of on the side: trouble with it is no callback's trouble."""

    def __init__(self, calls: Calls, clock: Callable[[], float]) -> None:
        self._calls = calls
        self._clock = clock
        self._written = float("-inf")
        self._latest: float | None = None

    async def now(self) -> None:
        """A callback came."""
        at = self._latest = self._clock()
        if at - self._written < WRITTEN_EVERY:
            return
        before, self._written = self._written, at
        try:
            await self._write(at)
        except StoreTrouble:
            self._written = before

    async def last(self) -> float | None:
        """When the last one came, as far as anybody has written it. Raises StoreTrouble."""
        answer = await self._calls.on_table("get_item", Key=items.key("heard", "last"))
        told = items.plain(answer["Item"])["at"] if "Item" in answer else None
        return max((each for each in (told, self._latest) if each is not None), default=None)

    async def _write(self, at: float) -> None:
        with suppress(ConditionFailed):
            await self._calls.on_table(
                "put_item",
                Item={**items.key("heard", "last"), "at": items.spell(at)},
                ConditionExpression="attribute_not_exists(pk) OR #at < :at",
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues={":at": items.spell(at)},
            )
