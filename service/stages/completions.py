"""When the vendor was done with transcripts that it listed lately."""

from collections.abc import Mapping
from typing import Final

from service.domain.job import TranscriptId

KEPT: Final = 2_000


class Completions:
    """Epoch seconds by transcript; the oldest known are forgotten first."""

    def __init__(self) -> None:
        self._known: dict[TranscriptId, float] = {}

    def __contains__(self, transcript_id: TranscriptId) -> bool:
        return transcript_id in self._known

    def get(self, transcript_id: TranscriptId) -> float | None:
        return self._known.get(transcript_id)

    def remember(self, completed: Mapping[TranscriptId, float]) -> None:
        """Keep these, of all no more than KEPT."""
        self._known.update(completed)
        for transcript_id in list(self._known)[: max(0, len(self._known) - KEPT)]:
            del self._known[transcript_id]
