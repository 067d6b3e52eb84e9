"""Where recordings come from, and where results and events go. Each docstring says what may be raised."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from service.domain.events import Attribute
from service.domain.job import JobId, Recording


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
