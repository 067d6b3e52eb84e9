"""The knobs of the stand-in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the stand-in behaves when no fault is set. Seconds are real; figures without a note are the vendor's."""

    api_key: str | None = None
    """The only key that is accepted; None takes any key, but not a missing one."""

    queue_seconds: float = 0.1
    """How long a transcript stays `queued` (the vendor's own varies)."""

    process_seconds: float = 1.0
    """How long it stays `processing` (the vendor's own varies)."""

    parallel_jobs: int = 200
    """Transcripts worked on at once; more wait first in, first out, marked `throttled`."""

    redacted_audio_seconds: float = 0.5
    """How long after completion redacted audio is ready."""

    redacted_link_seconds: float = 1800.0
    """How long a link to redacted audio works; each look makes a new one."""

    webhook_attempts: int = 10
    webhook_gap_seconds: float = 10.0
    webhook_timeout_seconds: float = 10.0
    webhook_connections: int = 50
    """Deliveries in flight at once (the stand-in's own bound)."""

    gateway_limit: int = 30
    """Requests per model and window; refused ones count too."""

    gateway_window_seconds: float = 60.0
    answer_seconds: float = 0.0
    """How long the Gateway takes for an answer."""

    upstream_retry_seconds: float = 0.5
    """The Gateway's pause before it repeats a request that its model failed."""

    refuse_unfinished: bool = True
    """Whether a prompt on a transcript that has not completed is a 400 (the vendor's answer is not documented)."""

    max_upload_bytes: int = 2_200_000_000
    max_download_bytes: int = 5_000_000_000
    download_seconds: float = 60.0
    kept_upload_bytes: int = 8_000_000_000
    """Uploads kept on disk in all; the oldest go first (the stand-in's own bound)."""

    seed: int = 0
    """Seeds the dice of the fault dial."""

    faults: Sequence[Mapping[str, object]] = ()
    """Rules of the fault dial that are in force from the start."""

    recordings: Path = Path(__file__).parent / "recordings"
    """Folder with `scripts.json`: the recordings that the stand-in knows by their SHA-256."""
