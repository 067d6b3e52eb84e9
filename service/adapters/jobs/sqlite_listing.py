"""Reading the table as people do, beside the writer."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

import orjson

from service.adapters.jobs import sqlite_rows as rows
from service.adapters.jobs.sqlite_connection import Reader
from service.engine.row import Row, RowId
from service.ports.store import Count, Lately

PAGE_AT_MOST: Final = 1_000

FIND: Final = """
SELECT * FROM job
WHERE id = :name OR id IN (SELECT row_id FROM name WHERE name = :name UNION SELECT row_id FROM owned WHERE name = :name)
ORDER BY created_at DESC, id DESC LIMIT :limit"""

PAGE: Final = """
SELECT * FROM job
WHERE (created_at, id) < (:created_at, :id)
    AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
    AND (:since IS NULL OR updated_at >= :since)
ORDER BY created_at DESC, id DESC LIMIT :limit"""

# Without `ready_at`: SQLite takes no index for covering that holds a generated column.
COUNTS: Final = """
SELECT status, lane, count(*) AS rows, count(CASE WHEN due_at <= :now AND claimable_at <= :now THEN 1 END) AS due,
    count(CASE WHEN parked NOT LIKE 'limit:%' THEN 1 END) AS parked,
    count(CASE WHEN parked LIKE 'limit:%' THEN 1 END) AS limited,
    min(CASE WHEN due_at <= :now AND claimable_at <= :now THEN due_at END) AS oldest_due_at
FROM job GROUP BY status, lane ORDER BY status, lane"""

LATELY: Final = """
SELECT (SELECT count(*) FROM job WHERE due_at IS NULL AND updated_at >= :since) AS ended,
    (SELECT at FROM heard) AS last_callback_at"""


class SqliteJobs:
    """Jobs. What is in work counts neither as due nor as waiting."""

    def __init__(self, reader: Reader, clock: Callable[[], float]) -> None:
        self._reader = reader
        self._clock = clock

    async def get(self, row_id: RowId) -> Row | None:
        return await self._reader.read(lambda connection: rows.read(connection, row_id))

    async def find(self, name: str) -> Sequence[Row]:
        def query(connection: sqlite3.Connection) -> Sequence[Row]:
            found = connection.execute(FIND, {"name": name, "limit": PAGE_AT_MOST})
            return [rows.row_of(record) for record in found]

        return await self._reader.read(query)

    async def page(
        self,
        *,
        statuses: Sequence[str] | None = None,
        since: float | None = None,
        limit: int = 100,
        after: RowId | None = None,
    ) -> Sequence[Row]:
        def query(connection: sqlite3.Connection) -> Sequence[Row]:
            last = None if after is None else rows.read(connection, after, facts=False)
            if after is not None and last is None:
                return []
            wanted = {
                "created_at": float("inf") if last is None else last.created_at,
                "id": "" if last is None else last.id,
                "statuses": None if statuses is None else orjson.dumps(list(statuses)).decode(),
                "since": since,
                "limit": max(0, min(limit, PAGE_AT_MOST)),
            }
            return [rows.row_of(record) for record in connection.execute(PAGE, wanted)]

        return await self._reader.read(query)

    async def counts(self) -> Sequence[Count]:
        def query(connection: sqlite3.Connection) -> Sequence[Count]:
            return [Count(**dict(record)) for record in connection.execute(COUNTS, {"now": self._clock()})]

        return await self._reader.read(query)

    async def lately(self, since: float) -> Lately:
        def query(connection: sqlite3.Connection) -> Lately:
            return Lately(**dict(connection.execute(LATELY, {"since": since}).fetchone()))

        return await self._reader.read(query)
