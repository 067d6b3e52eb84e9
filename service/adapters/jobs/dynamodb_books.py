"""The books in the table: a partition for each month, an item in it for each account and day."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_calls import Calls, Item
from service.adapters.jobs.dynamodb_schema import EXPIRES_AT, PK, SK
from service.engine.row import Entry

KEPT: Final = 400 * 86_400
"""Seconds that a day's sums are kept after its beginning."""
MONTH: Final = len("2026-11")


class DynamoBooks:
    """Books."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def month(self, month: str, account: str | None = None) -> Sequence[Entry]:
        asked: dict[str, Any] = {
            "KeyConditionExpression": "#pk = :pk" + ("" if account is None else " AND begins_with(#sk, :account)"),
            "ExpressionAttributeNames": {"#pk": PK} | ({} if account is None else {"#sk": SK}),
            "ExpressionAttributeValues": items.spelled(
                {":pk": partition(month)} | ({} if account is None else {":account": f"{account}#"})
            ),
        }
        found: list[Entry] = []
        while True:
            answer = await self._calls.on_table("query", **asked)
            found += [_entry(item) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return sorted(found, key=lambda entry: (entry.day, entry.account))
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def partition(month: str) -> str:
    return f"books#{month}"


def entering(table: str, entry: Entry) -> Mapping[str, Any]:
    """The write that adds the amounts, for a transaction; whoever adds first makes the item."""
    amounts = {name: amount for name, amount in entry.amounts.items() if amount}
    adding = "".join(f" ADD #{name} :{name}" if not at else f", #{name} :{name}" for at, name in enumerate(amounts))
    expires = int(datetime.fromisoformat(entry.day).replace(tzinfo=UTC).timestamp()) + KEPT
    return {
        "Update": {
            "TableName": table,
            "Key": items.key(partition(entry.day[:MONTH]), f"{entry.account}#{entry.day}"),
            "UpdateExpression": f"SET #{EXPIRES_AT} = :{EXPIRES_AT}{adding}",
            "ExpressionAttributeNames": {f"#{name}": name for name in (EXPIRES_AT, *amounts)},
            "ExpressionAttributeValues": items.spelled({f":{name}": amounts[name] for name in amounts})
            | {f":{EXPIRES_AT}": items.spell(expires)},
        }
    }


def _entry(item: Item) -> Entry:
    account, _, day = str(item[SK]["S"]).rpartition("#")
    amounts = {name: int(value["N"]) for name, value in item.items() if name not in {PK, SK, EXPIRES_AT}}
    return Entry(account=account, day=day, amounts=amounts)
