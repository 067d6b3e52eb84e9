"""Rows to SQL and back. Every function runs inside the writer's transaction."""

import sqlite3
from collections.abc import Mapping, Sequence, Set
from typing import Final

import orjson

from service.engine.errors import OwnedByAnother
from service.engine.row import Lane, Row, RowId
from service.engine.rules import OLDEST_CONSIDERED, SCHEMA

NOTES_AT_MOST: Final = 20
"""Notes kept for one row; the newest."""

NOTES_KEPT: Final = 7 * 86_400.0
"""Seconds that a note is kept; the vendor tells of nothing older."""

Connection = sqlite3.Connection

READ: Final = "SELECT * FROM job WHERE id = ?"
READ_WITHOUT_FACTS: Final = """
SELECT id, status, lane, created_at, updated_at, due_at, lease_until, claimable_at, token, claims, callbacks,
    callbacks_checked, subject, parked, queue, wants, schema, '{}' AS facts
FROM job WHERE id = ?"""
PARKED: Final = "SELECT id FROM job WHERE parked = ? AND due_at IS NOT NULL AND schema = ? LIMIT ?"
UNPARK: Final = "UPDATE job SET due_at = ?, parked = ? WHERE id = ?"
INSERT: Final = """
INSERT INTO job (id, status, lane, created_at, updated_at, due_at, lease_until, claimable_at, token, claims, callbacks,
    callbacks_checked, subject, parked, queue, wants, schema, facts)
VALUES (:id, :status, :lane, :created_at, :updated_at, :due_at, :lease_until, :claimable_at, :token, :claims,
    :callbacks, :callbacks_checked, :subject, :parked, :queue, :wants, :schema, :facts)"""
UPDATE: Final = """
UPDATE job SET status = :status, lane = :lane, updated_at = :updated_at, due_at = :due_at, lease_until = :lease_until,
    claimable_at = :claimable_at, token = :token, claims = :claims, callbacks = :callbacks,
    callbacks_checked = :callbacks_checked, subject = :subject, parked = :parked, queue = :queue,
    wants = :wants, facts = :facts
WHERE id = :id"""
HOLD: Final = "UPDATE job SET lease_until = ?, claimable_at = ?, token = ?, claims = ? WHERE id = ?"
CALL_UP: Final = """
UPDATE job SET due_at = ?, queue = ?, wants = ?, lease_until = ?, claimable_at = ?, token = ?, claims = ?
WHERE id = ?"""
CALL_BACK: Final = "UPDATE job SET callbacks = ?, due_at = ? WHERE id = ?"
CLAIMABLE: Final = """
SELECT ready_at, id FROM job
WHERE lane = ? AND ready_at <= ? AND due_at IS NOT NULL AND schema = ? AND status IN (SELECT value FROM json_each(?))
ORDER BY ready_at LIMIT ?"""


def row_of(record: sqlite3.Row) -> Row:
    """The row that a record of the table `job` holds."""
    fields = {name: record[name] for name in Row.__dataclass_fields__}
    return Row(**{**fields, "lane": Lane(record["lane"]), "facts": orjson.loads(record["facts"])})


def values_of(row: Row) -> Mapping[str, object]:
    """The row as SQL parameters. Raises TypeError for facts that are not JSON."""
    return {**vars(row), "facts": orjson.dumps(row.facts).decode()}


def read(connection: Connection, row_id: RowId, *, facts: bool = True) -> Row | None:
    """The row as it stands; without its facts where only its standing matters."""
    record = connection.execute(READ if facts else READ_WITHOUT_FACTS, (row_id,)).fetchone()
    return None if record is None else row_of(record)


def insert(connection: Connection, row: Row) -> None:
    connection.execute(INSERT, values_of(row))


def update(connection: Connection, row: Row) -> None:
    """Write the row whole."""
    connection.execute(UPDATE, values_of(row))


def hold(connection: Connection, row: Row) -> None:
    """Write what a claim or a renewal changes."""
    connection.execute(HOLD, (row.lease_until, row.claimable_at, row.token, row.claims, row.id))


def call_up(connection: Connection, row: Row) -> None:
    """Write what a claim out of a queue changes."""
    held = (row.lease_until, row.claimable_at, row.token, row.claims)
    connection.execute(CALL_UP, (row.due_at, row.queue, row.wants, *held, row.id))


def call_back(connection: Connection, row: Row) -> None:
    """Write what a callback changes."""
    connection.execute(CALL_BACK, (row.callbacks, row.due_at, row.id))


def parked(connection: Connection, gate: str, limit: int) -> Sequence[Row]:
    """Some of the rows that wait at the gate, without their facts."""
    found = connection.execute(PARKED, (gate, SCHEMA, limit)).fetchall()
    waiting = (read(connection, RowId(record["id"]), facts=False) for record in found)
    return [row for row in waiting if row is not None]


def unpark(connection: Connection, row: Row) -> None:
    """Write what the opening of a gate changes."""
    connection.execute(UNPARK, (row.due_at, row.parked, row.id))


def delete(connection: Connection, row_id: RowId) -> None:
    """Forget the row, what it is known by and what it owns."""
    connection.execute("DELETE FROM name WHERE row_id = ?", (row_id,))
    connection.execute("DELETE FROM owned WHERE row_id = ?", (row_id,))
    connection.execute("DELETE FROM job WHERE id = ?", (row_id,))


def claimable(connection: Connection, lane: Lane, statuses: Set[str], now: float) -> Sequence[tuple[float, RowId]]:
    """The longest due of what may be claimed in a lane, the longest first."""
    known = orjson.dumps(sorted(statuses)).decode()
    records = connection.execute(CLAIMABLE, (lane, now, SCHEMA, known, OLDEST_CONSIDERED))
    return [(record["ready_at"], RowId(record["id"])) for record in records]


def name(connection: Connection, row_id: RowId, names: Sequence[str]) -> None:
    """Make the row known by these names too."""
    connection.executemany("INSERT OR IGNORE INTO name VALUES (?, ?)", [(each, row_id) for each in names])


def own(connection: Connection, row_id: RowId, owned: str) -> None:
    """Make the row the name's only owner. Raises OwnedByAnother."""
    connection.execute("INSERT OR IGNORE INTO owned VALUES (?, ?)", (owned, row_id))
    if not owns(connection, row_id, owned):
        raise OwnedByAnother
    connection.execute("DELETE FROM note WHERE row_id = ? AND subject = ?", (row_id, owned))


def owns(connection: Connection, row_id: RowId, owned: str) -> bool:
    owner = connection.execute("SELECT row_id FROM owned WHERE name = ?", (owned,)).fetchone()
    return owner is not None and owner["row_id"] == row_id


def note(connection: Connection, row_id: RowId, subject: str, now: float) -> None:
    """Keep what a callback spoke of; in passing forget notes that are too old or too many."""
    connection.execute("INSERT OR IGNORE INTO note VALUES (?, ?, ?)", (row_id, subject, now))
    connection.execute(
        "DELETE FROM note WHERE row_id = :row AND subject NOT IN"
        " (SELECT subject FROM note WHERE row_id = :row ORDER BY noted_at DESC LIMIT :most)",
        {"row": row_id, "most": NOTES_AT_MOST},
    )
    connection.execute("DELETE FROM note WHERE noted_at < ?", (now - NOTES_KEPT,))


def heard(connection: sqlite3.Connection, now: float) -> None:
    """A callback came, whatever about."""
    connection.execute("INSERT INTO heard VALUES (1, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)", (now,))
