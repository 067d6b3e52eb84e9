"""Times as the outside reads them."""

from datetime import UTC, datetime


def rfc3339(epoch: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC with `Z`, to the millisecond."""
    return datetime.fromtimestamp(epoch, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch(moment: str) -> float:
    """The seconds since the epoch that `rfc3339` told."""
    return datetime.fromisoformat(moment).timestamp()
