"""The port to the one table. An adapter implements it over `rules`; one behaviour suite runs on each."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from service.engine.row import Callback, Heard, Lane, Row, RowId, Save, Token


class Table(Protocol):
    """Where rows live. Every write is durable when the call returns.

    Any method raises StoreTrouble when the store cannot do it; what happened is then unknown, and repeating is safe.
    """

    async def add(self, row: Row, names: Sequence[str] = ()) -> tuple[Row, bool]:
        """Add the row unless its id stands already; give the row that stands, and whether it is the new one.

        The names are recorded either way: further names that `find` knows it by.
        """
        ...

    async def claim(
        self, limit: int, *, only: Sequence[RowId] | None = None, queue: str | None = None
    ) -> Sequence[Row]:
        """At most `limit` rows that are due and free, each under a new token.

        Rows of a status or a schema version that this process does not know are left alone.
        Fresh before backfill, at random within the hundred longest due; every eighth claim takes the longest due of any
        lane. With `only`, none but these rows are considered; with `queue` too, those of them that wait in it, due or
        not, and they leave it. Two callers never get the same row.
        """
        ...

    async def renew(self, row_id: RowId, token: Token, *, progress: bool = False) -> Row:
        """Hold the row for another full lease; `progress` clears the count of fruitless claims. Raises LeaseLost."""
        ...

    async def save(self, row_id: RowId, token: Token, save: Save) -> Row:
        """Write what the holder decided. Raises LeaseLost, IllegalStep, OwnedByAnother; then nothing is written."""
        ...

    async def call_back(self, callback: Callback) -> Heard:
        """Count a callback; keep a note of (row, subject) wherever the row does not own that subject already."""
        ...

    async def withdraw(self, row_id: RowId, token: Token) -> None:
        """Take the row back as if it had never been added. Raises LeaseLost."""
        ...

    async def reopen(self, row_id: RowId, status: str, facts: Mapping[str, object], lane: Lane) -> Row:
        """Send an ended row on its next run. Raises IllegalStep, KeyError for an unknown row."""
        ...
