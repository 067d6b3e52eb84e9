"""The models' windows, one item each, changed by whoever read the last state of it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.budgeting import read, written
from service.adapters.jobs.dynamodb_calls import ConditionFailed, Item, OutcomeUnclear
from service.adapters.jobs.dynamodb_schema import PK, SK
from service.adapters.jobs.dynamodb_writes import ROUNDS, UNCLEAR_AT_MOST, Writes, absent
from service.domain.models.allowance import Window

PARTITION: Final = "budgets"


class DynamoBudgets:
    """Budgets."""

    def __init__(self, writes: Writes) -> None:
        self._writes = writes

    async def change(self, model: str, decide: Callable[[Window], Window]) -> Window:
        unclear = 0
        item = await self._item(model)
        # A window by a wrong clock would hold up everybody else's.
        self._writes.calls.insist_on_time()
        for round_ in range(ROUNDS):
            standing = window_of(item)
            wanted = decide(standing)
            if wanted is standing:
                return wanted
            mark = self._writes.mark()
            try:
                await self._write(model, wanted, mark, item)
            except ConditionFailed as failed:
                item = failed.item or await self._item(model)
            except OutcomeUnclear:
                unclear += 1
                if unclear > UNCLEAR_AT_MOST:
                    raise
                item = await self._item(model)
            else:
                return wanted
            # Its own mark: it was written, and its answer lost.
            if item is not None and item["write"]["S"] == mark:
                return wanted
            await self._writes.pause(round_)
        raise self._writes.beset()

    async def all(self) -> Mapping[str, Window]:
        answer = await self._writes.calls.on_table(
            "query",
            KeyConditionExpression="#pk = :pk",
            ExpressionAttributeNames={"#pk": PK},
            ExpressionAttributeValues={":pk": {"S": PARTITION}},
        )
        return {item[SK]["S"]: window_of(item) for item in answer["Items"]}

    async def _item(self, model: str) -> Item | None:
        answer = await self._writes.calls.on_table("get_item", Key=items.key(PARTITION, model), ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    async def _write(self, model: str, window: Window, mark: str, over: Item | None) -> None:
        condition: Mapping[str, Any] = absent()
        if over is not None:
            condition = {
                "ConditionExpression": "#write = :was",
                "ExpressionAttributeNames": {"#write": "write"},
                "ExpressionAttributeValues": {":was": over["write"]},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        said = items.spelled({"window": written(window), "write": mark})
        await self._writes.calls.on_table("put_item", Item={**items.key(PARTITION, model), **said}, **condition)


def window_of(item: Item | None) -> Window:
    return Window() if item is None else read(item["window"]["S"])
