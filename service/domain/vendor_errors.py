"""What a failed transcript's error text calls for (vendor API reference: failures inside a job)."""

from enum import StrEnum


class Remedy(StrEnum):
    """What can still be done for a recording whose transcript ended in `error`."""

    RESUBMIT = "resubmit"
    """The vendor's own failure, not billed: the same request again."""
    FRESH_URL = "fresh_url"
    """The vendor could not fetch the recording: only a newly made URL can help."""
    NO_SPEECH = "no_speech"
    """The vendor found nothing to transcribe while it looked for the language: perhaps it does not know that one."""
    LANGUAGE = "language"
    """The vendor could not tell the language well enough: only being told it can help."""
    FINAL = "final"
    """The recording or the request is at fault."""


def after_error(text: str) -> Remedy:
    """Matches by beginning and without regard to case: the vendor's punctuation varies."""
    words = text.strip().casefold()
    if words.startswith(("server error", "internal server error")):
        return Remedy.RESUBMIT
    if words.startswith("download error"):
        return Remedy.FRESH_URL
    if "no spoken audio" in words:
        return Remedy.NO_SPEECH
    return Remedy.LANGUAGE if "below the requested confidence threshold" in words else Remedy.FINAL
