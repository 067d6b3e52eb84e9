"""What the stages may ask of the vendor. Each docstring says what may be raised."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from service.domain.asking.completion import Completion
from service.domain.job import TranscriptId
from service.domain.models.catalogue import Models
from service.domain.transcript import Listed, Paragraph, Reading


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
