"""The job store beside its table. Each docstring says what may be raised."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.domain.job import JobId, TranscriptId
from service.domain.models.allowance import Window
from service.engine.row import Depth, Entry, Lane, Row, RowId, Waiting
from service.engine.table import Table


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many rows of a status and lane, how many of them due or parked, and the oldest due time (epoch seconds).

    `limited` wait at the monthly limit of a pipeline; `parked` at any other gate.
    """

    status: str
    lane: str
    rows: int
    due: int
    parked: int
    oldest_due_at: float | None
    limited: int = 0


@dataclass(frozen=True, kw_only=True)
class Lately:
    """How many rows have ended in a while, and when a callback was last stored (epoch seconds), whoever heard it."""

    ended: int
    last_callback_at: float | None


class Jobs(Protocol):
    """Reading the table as people do. Raises StoreTrouble."""

    async def get(self, row_id: RowId) -> Row | None:
        """The row as it stands."""
        ...

    async def find(self, name: str) -> Sequence[Row]:
        """The rows known by an id or a further name (transcript id, recording URI), newest first."""
        ...

    async def page(
        self,
        *,
        statuses: Sequence[str] | None = None,
        since: float | None = None,
        limit: int = 100,
        after: RowId | None = None,
    ) -> Sequence[Row]:
        """Rows by creation, newest first, updated at or after `since`; continue `after` the last one of a page."""
        ...

    async def counts(self) -> Sequence[Count]:
        """Counts by status and lane."""
        ...

    async def lately(self, since: float) -> Lately:
        """What has happened since then (epoch seconds)."""
        ...


class Pins(Protocol):
    """What is kept beside the rows. Raises StoreTrouble."""

    async def pin(self, digest: str, document: bytes) -> None:
        """Keep a pipeline under its digest; again is fine."""
        ...

    async def pinned(self, digest: str) -> bytes | None:
        """The pipeline of that digest."""
        ...

    async def notes(self, job_id: JobId) -> Sequence[TranscriptId]:
        """The transcripts that callbacks named for this job and that it does not own, oldest first."""
        ...


@dataclass(frozen=True, kw_only=True)
class Closed:
    """A gate that is shut: since when, the next probe's time (epoch seconds), and the words that shut it."""

    gate: str
    since: float
    next_probe_at: float
    pause: float
    reason: str


class Unmatched(Protocol):
    """Recordings that no pipeline took, remembered for a week, in case a later pipelines file has one that does.

    Raises StoreTrouble.
    """

    async def keep(self, uri: str, document: bytes) -> bool:
        """Remember it, from now on a week; a later document takes the earlier one's place. False: it was known."""
        ...

    async def kept(self, after: str | None = None) -> tuple[Sequence[bytes], str | None]:
        """Some of the documents that are remembered, and what to go on `after`; None: there are no more."""
        ...

    async def forget(self, uri: str) -> None:
        """It has been taken, or is gone; unknown ones are fine."""
        ...


class Gates(Protocol):
    """The account's troubles, shared by all who use the store. Raises StoreTrouble."""

    async def closed(self) -> Sequence[Closed]:
        """The gates that are shut now."""
        ...

    async def probe(self, gate: str) -> bool:
        """True for exactly one caller once the pause is over: it may try; the next probe is a longer pause away."""
        ...

    async def shut(self, gate: str, reason: str) -> tuple[Closed, bool]:
        """The gate is refused: shut it, or keep it shut. True: it was open before (tell it, once)."""
        ...

    async def reopen(self, gate: str) -> bool:
        """A probe went through: open it and make due what is parked at it. True: it was shut before."""
        ...


class Books(Protocol):
    """What accounts gained by the entries of saves, a sum for each account and day. Raises StoreTrouble."""

    async def month(self, month: str, account: str | None = None) -> Sequence[Entry]:
        """The entries of a calendar month (`2026-11`, UTC), of one account or of all, by day and account.

        Kept for at least 400 days.
        """
        ...


class Queues(Protocol):
    """The rows that wait in queues. Raises StoreTrouble."""

    async def heads(self, queue: str, lane: Lane, limit: int) -> Sequence[Waiting]:
        """The oldest of those that wait and that nobody is at."""
        ...

    async def depths(self, queue: str | None = None) -> Sequence[Depth]:
        """How many wait, in this queue or in all; may be some time old where counting costs much."""
        ...


class Budgets(Protocol):
    """What is known of each model's allowance, by model. Raises StoreTrouble."""

    async def change(self, model: str, decide: Callable[[Window], Window]) -> Window:
        """What `decide` makes of the window as it stands; written unless it is the very same. May ask it repeatedly."""
        ...

    async def all(self) -> Mapping[str, Window]:
        """Every window that was ever written."""
        ...


class Store(Protocol):
    """An open job store: the ports that it serves, whichever engine keeps it."""

    @property
    def table(self) -> Table: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def pins(self) -> Pins: ...
    @property
    def gates(self) -> Gates: ...
    @property
    def unmatched(self) -> Unmatched: ...
    @property
    def books(self) -> Books: ...
    @property
    def queues(self) -> Queues: ...
    @property
    def budgets(self) -> Budgets: ...

    async def ready(self) -> None:
        """Returns if the engine answers and may be worked with. Raises StoreTrouble."""
        ...

    async def prune(self, older_than: float) -> int:
        """Forget what ended and was last written before `older_than`; how many, 0 when none is left."""
        ...
