"""The one table in a SQLite file: the rules, each inside a transaction of the writer."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

from service.adapters.jobs import sqlite_rows as rows
from service.adapters.jobs.sqlite_books import enter
from service.adapters.jobs.sqlite_writer import Writer
from service.engine import rules
from service.engine.row import Callback, Heard, Lane, Row, RowId, Save, Token

PRUNED_AT_ONCE: Final = 500


class SqliteTable:
    """A Table. A lease lasts `lease` seconds; the clock gives epoch seconds, the same for all who share the file."""

    def __init__(
        self, writer: Writer, *, steps: rules.Steps, lease: float, clock: Callable[[], float], random: Random
    ) -> None:
        self._writer = writer
        self._steps = steps
        self._lease = lease
        self._clock = clock
        self._random = random
        self._taken = 0

    async def add(self, row: Row, names: Sequence[str] = ()) -> tuple[Row, bool]:
        def act(connection: sqlite3.Connection) -> tuple[Row, bool]:
            standing = rows.read(connection, row.id)
            if standing is None:
                rows.insert(connection, row)
            rows.name(connection, row.id, names)
            return standing or row, standing is None

        return await self._writer.write(act)

    async def claim(
        self, limit: int, *, only: Sequence[RowId] | None = None, queue: str | None = None
    ) -> Sequence[Row]:
        def act(connection: sqlite3.Connection) -> Sequence[Row]:
            now = self._clock()
            chosen = self._chosen(connection, limit, now) if only is None else only
            claimed: list[Row] = []
            for row_id in dict.fromkeys(chosen):
                row = rows.read(connection, row_id) if len(claimed) < limit else None
                if row is None or not self._steps.understood(row):
                    continue
                if queue is not None and rules.callable_from(row, queue, now):
                    claimed.append(rules.called_up(row, now, self._lease))
                    rows.call_up(connection, claimed[-1])
                elif queue is None and rules.claimable(row, now):
                    claimed.append(rules.claimed(row, now, self._lease))
                    rows.hold(connection, claimed[-1])
            self._taken += len(claimed)
            return claimed

        return await self._writer.write(act)

    def _chosen(self, connection: sqlite3.Connection, limit: int, now: float) -> Sequence[RowId]:
        fresh, backfill = (
            rows.claimable(connection, lane, self._steps.known(), now) for lane in (Lane.FRESH, Lane.BACKFILL)
        )
        return rules.picked(fresh, backfill, limit, self._taken, self._random)

    async def renew(self, row_id: RowId, token: Token, *, progress: bool = False) -> Row:
        def act(connection: sqlite3.Connection) -> Row:
            row = rules.held(rows.read(connection, row_id), token)
            renewed = rules.renewed(row, token, self._clock(), self._lease, progress=progress)
            rows.hold(connection, renewed)
            return renewed

        return await self._writer.write(act)

    async def save(self, row_id: RowId, token: Token, save: Save) -> Row:
        def act(connection: sqlite3.Connection) -> Row:
            row = rules.held(rows.read(connection, row_id, facts=False), token)
            saved = rules.saved(row, token, save, self._clock(), self._steps)
            if save.owns is not None:
                rows.own(connection, row_id, save.owns)
            rows.name(connection, row_id, save.names)
            rows.update(connection, saved)
            if save.entry is not None:
                enter(connection, save.entry)
            return saved

        return await self._writer.write(act)

    async def call_back(self, callback: Callback) -> Heard:
        def act(connection: sqlite3.Connection) -> Heard:
            now = self._clock()
            row = rows.read(connection, callback.row_id, facts=False)
            heard = Heard.UNKNOWN
            if row is not None:
                row, heard = rules.called_back(row, callback, now, self._steps)
            if row is not None and heard is Heard.COUNTED:
                rows.call_back(connection, row)
            rows.heard(connection, now)
            subject = callback.subject
            if subject is not None and not rows.owns(connection, callback.row_id, subject):
                rows.note(connection, callback.row_id, subject, now)
            return heard

        return await self._writer.write(act)

    async def withdraw(self, row_id: RowId, token: Token) -> None:
        def act(connection: sqlite3.Connection) -> None:
            rules.held(rows.read(connection, row_id, facts=False), token)
            rows.delete(connection, row_id)

        await self._writer.write(act)

    async def reopen(self, row_id: RowId, status: str, facts: Mapping[str, object], lane: Lane) -> Row:
        def act(connection: sqlite3.Connection) -> Row:
            row = rows.read(connection, row_id, facts=False)
            if row is None:
                raise KeyError(row_id)
            reopened = rules.reopened(row, status, facts, lane, self._clock(), self._steps)
            rows.update(connection, reopened)
            return reopened

        return await self._writer.write(act)

    async def prune(self, older_than: float) -> int:
        """Forget rows that ended and were last written before `older_than` (epoch seconds), some hundreds a call.

        How many were forgotten; 0: none is left. What the row was known by goes with it. Raises StoreTrouble.
        """

        def act(connection: sqlite3.Connection) -> int:
            ended = connection.execute(
                "SELECT id FROM job WHERE due_at IS NULL AND updated_at < ? AND schema = ? ORDER BY updated_at LIMIT ?",
                (older_than, rules.SCHEMA, PRUNED_AT_ONCE),
            ).fetchall()
            for record in ended:
                rows.delete(connection, RowId(record["id"]))
            return len(ended)

        return await self._writer.write(act)
