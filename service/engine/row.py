"""A row of the one table: something to do, when to look at it again, and who is on it.

The engine never looks inside `facts`; it only knows statuses by the table of legal steps that it is given.
All times are seconds since the epoch, UTC, by the clock that the caller passes in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

RowId = NewType("RowId", str)
Token = NewType("Token", int)


class Lane(StrEnum):
    """Which queue a row stands in: what just arrived never waits behind what is being caught up on."""

    FRESH = "fresh"
    BACKFILL = "backfill"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One job as the engine sees it.

    `due_at` is None exactly when the row has ended. `lease_until` is 0 while nobody holds it. `claims` counts claims in
    a row that brought no progress. `callbacks` counts what the outside said, `callbacks_checked` how much of that has
    been looked into.
    `subject` is the outside's own name for the work, once known. `parked` names the gate that the row waits at; `queue`
    the queue that it waits in for its share of something scarce, of which it could use `wants` pieces at once.
    """

    id: RowId
    status: str
    lane: Lane = Lane.FRESH
    facts: Mapping[str, object] = field(default_factory=dict)
    created_at: float
    updated_at: float
    due_at: float | None
    lease_until: float = 0.0
    claimable_at: float = 0.0
    token: Token = Token(0)
    claims: int = 0
    callbacks: int = 0
    callbacks_checked: int = 0
    subject: str | None = None
    parked: str | None = None
    queue: str | None = None
    wants: int = 0
    schema: int = 1

    @property
    def ended(self) -> bool:
        return self.due_at is None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Whole amounts that an account gains on a day (`2026-11-30`, UTC), in the books kept beside the rows."""

    account: str
    day: str
    amounts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Save:
    """What a worker decided about the row that it holds.

    `due_at` None ends the row. `keep_lease` goes on under the same lease; otherwise the row is handed back, and the
    token that it was held by is void.
    `heard` is the number of callbacks that this save answers: those counted at the claim, and only if the outside
    was asked after it (or will be at `due_at`). `progress` False keeps the count of fruitless claims. `subject` None
    keeps the one there is. `parked` names the gate that the row now waits at, until `due_at` at the latest; None: at
    none. `queue` names the queue that it waits in, for `wants` pieces, until somebody has them for it, or `due_at`.
    `owns` is a name no two rows may own (the vendor's id of paid work); `names` are more to find the row by.
    `entry` goes into the books with this very save, or neither is written.
    """

    status: str
    facts: Mapping[str, object]
    due_at: float | None
    keep_lease: bool = False
    heard: int = 0
    progress: bool = True
    subject: str | None = None
    parked: str | None = None
    queue: str | None = None
    wants: int = 0
    owns: str | None = None
    names: tuple[str, ...] = ()
    entry: Entry | None = None


class Heard(StrEnum):
    """What became of a callback."""

    COUNTED = "counted"
    ENDED = "ended"
    """The row has ended; it stays as it is."""
    UNKNOWN = "unknown"
    """No such row, or one that only a newer replica understands; a note was kept."""
    OTHER_SUBJECT = "other_subject"
    """It speaks of another subject than the row's own; nothing was counted."""


@dataclass(frozen=True, kw_only=True)
class Callback:
    """Something the outside said about a row. `subject` None: it did not say of what."""

    row_id: RowId
    subject: str | None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A row's place in a queue: within its lane the oldest goes first."""

    id: RowId
    lane: Lane
    created_at: float
    wants: int


@dataclass(frozen=True, kw_only=True)
class Depth:
    """How many rows of a lane wait in a queue, and how many pieces they want together."""

    queue: str
    lane: Lane
    rows: int
    wants: int
