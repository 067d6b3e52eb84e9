"""Recordings that no pipeline took, in a few partitions that can be read whole."""

import asyncio
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_calls import Item
from service.adapters.jobs.dynamodb_items import SHARDS, Value
from service.adapters.jobs.dynamodb_schema import EXPIRES_AT
from service.adapters.jobs.dynamodb_writes import Writes

KEPT_FOR: Final = 7 * 86_400.0
DOCUMENT_AT_MOST: Final = 300_000


class DynamoUnmatched:
    """Unmatched."""

    def __init__(self, writes: Writes, clock: Callable[[], float]) -> None:
        self._writes = writes
        self._clock = clock

    async def keep(self, uri: str, document: bytes) -> bool:
        body, mark, now = zlib.compress(document, 9), self._writes.mark(), self._clock()
        if len(body) > DOCUMENT_AT_MOST:
            raise items.Oversized(f"a recording's description takes {len(body)} bytes, of {DOCUMENT_AT_MOST} at most")
        values: dict[str, Value] = {
            "document": body,
            "kept_until": now + KEPT_FOR,
            "write": mark,
            EXPIRES_AT: int(now + KEPT_FOR),
        }
        item = {**unmatched_key(uri), **items.spelled(values)}
        answer = await self._writes.calls.on_table("put_item", Item=item, ReturnValues="ALL_OLD")
        before = items.plain(answer.get("Attributes", {}))
        # Its own mark: the call was repeated on the way, and what stood before that is not known any more.
        return not before or before["kept_until"] <= now or before["write"] == mark

    async def kept(self) -> Sequence[bytes]:
        found = await asyncio.gather(*(self._partition(f"unmatched#{part}") for part in range(SHARDS)))
        values = (items.plain(item) for some in found for item in some)
        now = self._clock()
        return [zlib.decompress(value["document"]) for value in values if value["kept_until"] > now]

    async def forget(self, uri: str) -> None:
        await self._writes.calls.on_table("delete_item", Key=unmatched_key(uri))

    async def _partition(self, partition: str) -> Sequence[Item]:
        asked: dict[str, Any] = {
            "KeyConditionExpression": "#pk = :pk",
            "ExpressionAttributeNames": {"#pk": "pk"},
            "ExpressionAttributeValues": {":pk": {"S": partition}},
            "ConsistentRead": True,
        }
        found: list[Item] = []
        while True:
            answer = await self._writes.calls.on_table("query", **asked)
            found += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return found
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def unmatched_key(uri: str) -> Item:
    digest = items.digest(uri)
    return items.key(f"unmatched#{digest[0] % SHARDS}", digest.hex())
