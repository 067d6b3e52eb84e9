"""What the file holds, and which versions of it, and of SQLite, are fit to be used."""

import sqlite3
from typing import Final

from service.domain.errors import Problem, Refused

# `ready_at` is when a row may be claimed, by due time and lease both. The indexes are for, in their order: claims,
# counts, pages, pruning, gates.
FIRST: Final = """
CREATE TABLE job (
    id TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    lane TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    due_at REAL,
    lease_until REAL NOT NULL,
    claimable_at REAL NOT NULL,
    token INTEGER NOT NULL,
    claims INTEGER NOT NULL,
    callbacks INTEGER NOT NULL,
    callbacks_checked INTEGER NOT NULL,
    subject TEXT,
    parked TEXT,
    schema INTEGER NOT NULL,
    facts TEXT NOT NULL,
    ready_at REAL GENERATED ALWAYS AS (max(due_at, claimable_at)) VIRTUAL
);
CREATE INDEX job_ready ON job (lane, ready_at) WHERE due_at IS NOT NULL;
CREATE INDEX job_counted ON job (status, lane, due_at, claimable_at, parked);
CREATE INDEX job_created ON job (created_at, id, status);
CREATE INDEX job_ended ON job (updated_at) WHERE due_at IS NULL;
CREATE INDEX job_parked ON job (parked) WHERE parked IS NOT NULL;

CREATE TABLE name (name TEXT NOT NULL, row_id TEXT NOT NULL, PRIMARY KEY (name, row_id)) WITHOUT ROWID;
CREATE INDEX name_row ON name (row_id);
CREATE TABLE owned (name TEXT PRIMARY KEY, row_id TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX owned_row ON owned (row_id);

CREATE TABLE note (
    row_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    noted_at REAL NOT NULL,
    PRIMARY KEY (row_id, subject)
) WITHOUT ROWID;
CREATE INDEX note_age ON note (noted_at);

CREATE TABLE heard (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), at REAL NOT NULL);
CREATE TABLE pin (digest TEXT PRIMARY KEY, document BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE gate (
    gate TEXT PRIMARY KEY,
    since REAL NOT NULL,
    next_probe_at REAL NOT NULL,
    pause REAL NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID;
"""

UNMATCHED: Final = """
CREATE TABLE unmatched (uri TEXT PRIMARY KEY, document BLOB NOT NULL, kept_at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX unmatched_age ON unmatched (kept_at);
"""

BOOKS: Final = """
CREATE TABLE book (
    day TEXT NOT NULL,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (day, account, name)
) WITHOUT ROWID;
"""

# `wants` last in the index: the depth of a queue is read from it alone.
QUEUES: Final = """
ALTER TABLE job ADD COLUMN queue TEXT;
ALTER TABLE job ADD COLUMN wants INTEGER NOT NULL DEFAULT 0;
CREATE INDEX job_queued ON job (queue, lane, created_at, id, wants) WHERE queue IS NOT NULL;
CREATE TABLE budget (model TEXT PRIMARY KEY, window TEXT NOT NULL) WITHOUT ROWID;
"""

STEPS: Final = (FIRST, UNMATCHED, BOOKS, QUEUES)
"""From each version of the file to the next. A step only adds, so that who has the older file open can go on."""

VERSION: Final = len(STEPS)
"""Kept in `PRAGMA user_version`."""


def create(connection: sqlite3.Connection, path: str) -> None:
    """Bring the file, an empty one included, to our version; the caller holds the write lock, and commits.

    Raises Refused for a newer file.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        what = f"the job store {path} was written by a newer Afterword (its version {version}, ours {VERSION})"
        raise Refused([Problem(place="AFTERWORD_JOBS", what=what, cure="upgrade this one, or name another file")])
    for step in STEPS[version:]:
        for statement in step.split(";"):
            connection.execute(statement)
    if version < VERSION:
        connection.execute(f"PRAGMA user_version = {VERSION}")


def wal_reset_bug(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite may corrupt a WAL file that several processes write (fixed in 3.44.6, 3.50.7 and 3.51.3)."""
    mended = {(3, 44): 6, (3, 50): 7}.get(version[:2])
    return version < (3, 51, 3) if mended is None else version[2] < mended
