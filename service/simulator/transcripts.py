"""The account's transcripts: one record each, in order of their creation."""

import itertools
import uuid
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from service.simulator.hearing import Recording
from service.simulator.scripts import Heard
from service.simulator.wire import Json

Status = Literal["queued", "processing", "completed", "error"]
DELETED_TEXT: Final = "Deleted by user."
DELETED_URL: Final = "http://deleted_by_user"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fate:
    """What the fault dial has in store for a job from its submission on."""

    error: str | None = None
    blank: bool = False
    stuck: bool = False
    seconds: float | None = None
    echo_secret: bool = False


@dataclass(kw_only=True, slots=True)
class Transcript:
    """A job of the vendor's. `request` holds only what was given; defaults are added when it is shown."""

    id: str
    number: int
    request: Json
    created: datetime
    fate: Fate
    entry: Json
    base_url: str
    status: Status = "queued"
    throttled: bool = False
    completed: datetime | None = None
    error: str | None = None
    heard: Heard | None = None
    recording: Recording | None = None
    warnings: list[str] = field(default_factory=list)
    understood: Json | None = None
    webhook_status_code: int | None = None
    redacted_ready: bool = False
    links: dict[str, float] = field(default_factory=dict)
    """When each link to the redacted audio was made (monotonic), by its signature."""
    deleted: bool = False

    @property
    def audio_url(self) -> str:
        return DELETED_URL if self.deleted else str(self.request["audio_url"])

    @property
    def webhook_url(self) -> str:
        return str(self.request.get("webhook_url") or "")

    @property
    def multichannel(self) -> bool:
        return bool(self.request.get("multichannel") or self.request.get("dual_channel"))

    @property
    def ended(self) -> bool:
        return self.status in {"completed", "error"}


class Transcripts:
    """By id, and in order."""

    def __init__(self) -> None:
        self._by_id: dict[str, Transcript] = {}
        self._ordered: list[Transcript] = []
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._ordered)

    def clear(self) -> None:
        self._by_id.clear()
        self._ordered.clear()

    def create(self, request: Json, fate: Fate, entry: Json, base_url: str) -> Transcript:
        transcript = Transcript(
            id=str(uuid.uuid4()),
            number=next(self._numbers),
            request=request,
            created=datetime.now(UTC),
            fate=fate,
            entry=entry,
            base_url=base_url,
        )
        self._by_id[transcript.id] = transcript
        self._ordered.append(transcript)
        return transcript

    def get(self, transcript_id: str) -> Transcript | None:
        return self._by_id.get(transcript_id)

    def older(self, than: Transcript | None) -> Iterator[Transcript]:
        """Newest first."""
        stop = self._place(than) if than else len(self._ordered)
        return (self._ordered[place] for place in range(stop - 1, -1, -1))

    def newer(self, than: Transcript) -> Iterator[Transcript]:
        """Oldest first."""
        return (self._ordered[place] for place in range(self._place(than) + 1, len(self._ordered)))

    def _place(self, transcript: Transcript) -> int:
        return bisect_left(self._ordered, transcript.number, key=lambda other: other.number)
