"""Recordings that no pipeline took, in a few partitions that are read page by page."""

import zlib
from collections.abc import Callable, Sequence
from typing import Final

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_calls import Item
from service.adapters.jobs.dynamodb_items import SHARDS, Value
from service.adapters.jobs.dynamodb_schema import EXPIRES_AT, PK, SK
from service.adapters.jobs.dynamodb_writes import Writes

KEPT_FOR: Final = 7 * 86_400.0
DOCUMENT_AT_MOST: Final = 300_000
PARTITION: Final = "unmatched"
PAGE: Final = 500
"""Documents in memory at once."""


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

    async def kept(self, after: str | None = None) -> tuple[Sequence[bytes], str | None]:
        part, _, last = (after or "0#").partition("#")
        answer = await self._writes.calls.on_table(
            "query",
            KeyConditionExpression="#pk = :pk AND #sk > :last",
            ExpressionAttributeNames={"#pk": PK, "#sk": SK},
            # A blank sorts before every digit.
            ExpressionAttributeValues=items.spelled({":pk": f"{PARTITION}#{part}", ":last": last or " "}),
            ConsistentRead=True,
            Limit=PAGE,
        )
        values, now = [items.plain(item) for item in answer["Items"]], self._clock()
        documents = [zlib.decompress(value["document"]) for value in values if value["kept_until"] > now]
        if "LastEvaluatedKey" in answer:
            return documents, f"{part}#{answer['LastEvaluatedKey'][SK]['S']}"
        return documents, f"{int(part) + 1}#" if int(part) + 1 < SHARDS else None

    async def forget(self, uri: str) -> None:
        await self._writes.calls.on_table("delete_item", Key=unmatched_key(uri))


def unmatched_key(uri: str) -> Item:
    digest = items.digest(uri)
    return items.key(f"{PARTITION}#{digest[0] % SHARDS}", digest.hex())
