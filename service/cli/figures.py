"""Figures as people read them."""

from datetime import UTC, datetime
from typing import Final

from service.domain.durations import DAY, HOUR, MINUTE

THOUSAND: Final = 1000
LARGEST_UNIT: Final = "TB"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 recording`, `1,200 recordings`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size(number: int) -> str:
    """Bytes in powers of a thousand: `640 B`, `1.2 GB`."""
    value, unit = float(number), "B"
    for unit in ("B", "kB", "MB", "GB", LARGEST_UNIT):
        if value < THOUSAND or unit == LARGEST_UNIT:
            break
        value /= THOUSAND
    return f"{number} B" if unit == "B" else f"{value:,.1f} {unit}"


def lasting(seconds: float) -> str:
    """A span of time: `4 s`, `12 min`, `3 h`, `2 d`."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{int(seconds // unit)} {name}"
    return f"{max(0, int(seconds))} s"


def ago(moment: float, now: float) -> str:
    """A moment of the past, epoch seconds."""
    return f"{lasting(now - moment)} ago"


def when(moment: float, now: float) -> str:
    """A moment with the time of day in UTC, and how far off it is."""
    clock = datetime.fromtimestamp(moment, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"{clock} (in {lasting(moment - now)})" if moment > now else f"{clock} ({ago(moment, now)})"
