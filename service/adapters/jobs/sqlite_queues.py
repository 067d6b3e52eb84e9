"""Who waits for what in the file, and what is known of the models' allowances."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Final

import orjson

from service.adapters.jobs.budgeting import read, written
from service.adapters.jobs.sqlite_connection import Reader
from service.adapters.jobs.sqlite_writer import Writer
from service.domain.models.allowance import Window
from service.engine.row import Depth, Lane, RowId, Waiting
from service.engine.rules import SCHEMA, Steps

# Those that somebody is at are left out; `status` and `schema` as for claims.
HEADS: Final = """
SELECT id, lane, created_at, wants FROM job
WHERE queue = :queue AND lane = :lane AND due_at IS NOT NULL AND claimable_at <= :now AND schema = :schema
    AND status IN (SELECT value FROM json_each(:statuses))
ORDER BY created_at, id LIMIT :limit"""

DEPTHS: Final = """
SELECT queue, lane, count(*) AS rows, sum(wants) AS wants FROM job
WHERE queue IS NOT NULL AND (:queue IS NULL OR queue = :queue) GROUP BY queue, lane ORDER BY queue, lane"""


class SqliteQueues:
    """Queues."""

    def __init__(self, reader: Reader, *, steps: Steps, clock: Callable[[], float]) -> None:
        self._reader = reader
        self._statuses = known(steps.known())
        self._clock = clock

    async def heads(self, queue: str, lane: Lane, limit: int) -> Sequence[Waiting]:
        def query(connection: sqlite3.Connection) -> Sequence[Waiting]:
            wanted = {"queue": queue, "lane": lane, "now": self._clock(), "limit": limit}
            found = connection.execute(HEADS, {**wanted, "schema": SCHEMA, "statuses": self._statuses})
            return [waiting_of(record) for record in found]

        return await self._reader.read(query)

    async def depths(self, queue: str | None = None) -> Sequence[Depth]:
        def query(connection: sqlite3.Connection) -> Sequence[Depth]:
            found = connection.execute(DEPTHS, {"queue": queue})
            return [Depth(**{**dict(record), "lane": Lane(record["lane"])}) for record in found]

        return await self._reader.read(query)


class SqliteBudgets:
    """Budgets."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def change(self, model: str, decide: Callable[[Window], Window]) -> Window:
        def act(connection: sqlite3.Connection) -> Window:
            record = connection.execute("SELECT window FROM budget WHERE model = ?", (model,)).fetchone()
            standing = Window() if record is None else read(record["window"])
            decided = decide(standing)
            if decided is not standing:
                connection.execute("INSERT OR REPLACE INTO budget VALUES (?, ?)", (model, written(decided)))
            return decided

        return await self._writer.write(act)

    async def all(self) -> Mapping[str, Window]:
        def query(connection: sqlite3.Connection) -> Mapping[str, Window]:
            found = connection.execute("SELECT model, window FROM budget ORDER BY model")
            return {record["model"]: read(record["window"]) for record in found}

        return await self._reader.read(query)


def known(statuses: Set[str]) -> str:
    return orjson.dumps(sorted(statuses)).decode()


def waiting_of(record: sqlite3.Row) -> Waiting:
    return Waiting(
        id=RowId(record["id"]), lane=Lane(record["lane"]), created_at=record["created_at"], wants=record["wants"]
    )
