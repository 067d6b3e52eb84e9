"""What the stages may do to the world, in our verbs. Each docstring says what may be raised."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from service.domain.allowance import Granted, Window
from service.domain.catalogue import Models
from service.domain.completion import Completion
from service.domain.events import Attribute
from service.domain.job import JobId, Recording, TranscriptId
from service.domain.transcript import Listed, Paragraph, Reading
from service.engine.row import Depth, Entry, Lane, Row, RowId, Waiting
from service.engine.table import Table


class Transcriber(Protocol):
    """The vendor's transcription API.

    Every method raises Throttled, AccountTrouble, Unavailable (nothing was started) or Rejected.
    """

    async def upload(self, body: AsyncIterator[bytes], size: int) -> str:
        """Stream `size` bytes to the vendor in constant memory; the URL that only the vendor can read."""
        ...

    async def submit(self, request: Mapping[str, object], *, within: float) -> TranscriptId:
        """Start a transcript, `within` so many seconds. Also raises OutcomeUnknown: it may be running and billed."""
        ...

    async def read(self, transcript_id: TranscriptId) -> Reading:
        """What the vendor says of it now. Also raises TranscriptMissing."""
        ...

    async def recent(self, before: TranscriptId | None = None) -> Sequence[Listed]:
        """A page of at most 200, newest first; older than `before` if given. Empty at the end."""
        ...

    async def delete(self, transcript_id: TranscriptId) -> None:
        """Ask the vendor to forget it; gone already is fine."""
        ...


class Renditions(Protocol):
    """What the vendor makes of a finished transcript, beside it.

    Every method raises Throttled, AccountTrouble, Unavailable, Rejected, TranscriptMissing.
    """

    async def captions(self, transcript_id: TranscriptId, form: str) -> str:
        """The captions in `srt` or `vtt`."""
        ...

    async def paragraphs(self, transcript_id: TranscriptId) -> Sequence[Paragraph]:
        """The text divided into paragraphs, whoever speaks; perhaps none."""
        ...

    async def redacted_audio(self, transcript_id: TranscriptId) -> str | None:
        """A URL for `sound`, good for some minutes and secret; None while it is not ready.

        Rejected: there is none, or it is there no longer.
        """
        ...

    def sound(self, url: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The redacted audio, in pieces. Raises Unavailable, also in place of an end that comes too early.

        Rejected: it is more than is taken.
        """
        ...


class LanguageModel(Protocol):
    """The vendor's LLM Gateway."""

    async def ask(self, request: Mapping[str, object], *, within: float) -> Completion:
        """One completion, `within` so many seconds.

        Raises Throttled, AccountTrouble, Unavailable, OutcomeUnknown (it may be billed), Rejected, TranscriptMissing.
        """
        ...


class Catalogue(Protocol):
    """The models of the LLM Gateway, as far as they were heard of; looking is free, never blocks and raises nothing."""

    @property
    def models(self) -> Models | None:
        """All that were offered when it was last heard; None: it was never heard."""
        ...

    def doubt(self) -> None:
        """A model was refused: what was heard may be out of date, and is heard anew before long."""
        ...

    async def doubted(self) -> None:
        """Returns once somebody doubts what was heard last."""
        ...

    async def refresh(self) -> None:
        """Hear it anew. Raises Transient or Permanent, and then nothing changes."""
        ...


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How things stand with a model: requests a window that are ours (None: no limit is known) and that were granted.

    `ends_at`: when the next window begins (epoch seconds), None while none has begun. `queued` jobs wait for `requests`
    requests, which takes about `seconds`.
    """

    model: str
    allowance: int | None
    granted: int
    ends_at: float | None
    queued: int
    requests: int
    seconds: float


class RateBudget(Protocol):
    """Who may ask a model now, and who waits for that; shared by all who use the store. Raises StoreTrouble."""

    async def take(self, model: str, wanted: int, *, newcomer: Row | None = None) -> Granted:
        """As many of the `wanted` requests as there is room for, in one write.

        A `newcomer`, who has not waited in the model's queue, gets none while others who wait go before it.
        """
        ...

    async def give_back(self, model: str, granted: Granted) -> None:
        """These were granted and will not be made."""
        ...

    async def exhausted(self, model: str, retry_after: float) -> None:
        """The other side refused: nobody asks `model` for so many seconds."""
        ...

    async def line(self, model: str, limit: int, served: int) -> Sequence[Waiting]:
        """At most `limit` jobs that wait for the model, in the order of their turn (`rules.in_turn`)."""
        ...

    async def wait(self, model: str) -> float:
        """Seconds until all that waits for the model is asked, at the present rate."""
        ...

    async def standings(self) -> Sequence[Standing]:
        """How things stand with each model that was ever asked for."""
        ...


class Drops(Protocol):
    """Where recordings arrive."""

    async def watch(self, take: "Take") -> None:
        """Hand over every recording, what was there before included, until cancelled.

        A recording counts as taken once `take` returned; when `take` raises Transient it is handed over again later.
        """
        ...


class Take(Protocol):
    """What is done with an arrived recording; returns when that is durable."""

    async def __call__(self, recording: Recording, names: Sequence[str]) -> None:
        """Raises Transient."""
        ...


class Recordings(Protocol):
    """The sound of recordings that we must bring to the vendor ourselves, or lend it the key to.

    Every method raises RecordingMissing; RecordingReplaced when what is there is not what was announced; Unavailable.
    """

    def open(self, recording: Recording) -> AbstractAsyncContextManager["Sound"]:
        """The bytes as they were announced."""
        ...

    async def url(self, recording: Recording, job_id: JobId) -> str:
        """A URL that lets whoever has it read the object for a while, and that no other job's URL is like."""
        ...

    async def unchanged(self, recording: Recording) -> None:
        """Returns if what can be read now is what was announced."""
        ...


class Sound(Protocol):
    """An open recording."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, in pieces of at most 1 MiB.

        Raises RecordingReplaced at the end when what was read is not what was announced.
        """
        ...


class Results(Protocol):
    """Where results go. Keys are relative, segments joined by `/`, already safe. Raises Unavailable."""

    async def put_new(self, key: str, body: bytes, media_type: str) -> bool:
        """Write whole or not at all, unless the key stands already: first writer wins. False: another was first."""
        ...

    async def put_new_stream(self, key: str, pieces: AsyncIterator[bytes], media_type: str) -> bool:
        """As `put_new`, in constant memory. Also raises what `pieces` raises, and then nothing stands."""
        ...

    async def get(self, key: str) -> bytes | None:
        """The stored bytes; None if there are none."""
        ...

    async def has(self, key: str) -> bool:
        """Whether the key stands."""
        ...

    def uri(self, key: str) -> str:
        """Where a subscriber finds it."""
        ...


class Events(Protocol):
    """Where events go."""

    async def publish(self, body: bytes, attributes: Mapping[str, Attribute], group: str, event_id: str) -> None:
        """Hand the event over durably. The same event may be handed over twice. Raises Unavailable."""
        ...


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


@dataclass(frozen=True, kw_only=True)
class Ports:
    """A stage's signature is its list of side effects."""

    table: Table
    jobs: Jobs
    pins: Pins
    gates: Gates
    books: Books
    transcriber: Transcriber
    renditions: Renditions
    language_model: LanguageModel
    catalogue: Catalogue
    budget: RateBudget
    recordings: Recordings
    results: Results
    events: Events
