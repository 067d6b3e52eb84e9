"""The books in the file: an amount for each day, account and name."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from service.adapters.jobs.sqlite_connection import Reader
from service.adapters.jobs.sqlite_writer import Writer
from service.engine.row import Entry

KEPT: Final = 400 * 86_400.0
"""Seconds that a day's sums are kept: a year, and what is left of the month in which somebody looks back on it."""


class SqliteBooks:
    """Books."""

    def __init__(self, writer: Writer, reader: Reader, clock: Callable[[], float]) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock

    async def month(self, month: str, account: str | None = None) -> Sequence[Entry]:
        def query(connection: sqlite3.Connection) -> Sequence[Entry]:
            found: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
            for record in connection.execute(
                "SELECT * FROM book WHERE day >= :first AND day < :last AND (:account IS NULL OR account = :account)"
                " ORDER BY day, account",
                # A tilde sorts after every digit.
                {"first": month, "last": f"{month}~", "account": account},
            ):
                found[record["day"], record["account"]][record["name"]] = record["amount"]
            return [Entry(account=account, day=day, amounts=amounts) for (day, account), amounts in found.items()]

        return await self._reader.read(query)

    async def prune(self) -> None:
        """Let go of days that are too old. Raises StoreTrouble."""
        oldest = datetime.fromtimestamp(self._clock() - KEPT, tz=UTC).date().isoformat()

        def act(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM book WHERE day < ?", (oldest,))

        await self._writer.write(act)


def enter(connection: sqlite3.Connection, entry: Entry) -> None:
    """Add the amounts, inside the writer's transaction."""
    connection.executemany(
        "INSERT INTO book VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
        [(entry.day, entry.account, name, amount) for name, amount in entry.amounts.items()],
    )
