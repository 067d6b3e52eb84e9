"""What is known of one model's allowance, and how each grant and each answer changes it: no clock, no storage.

The vendor counts requests, refused ones included, in windows of 60 seconds per model and account, and tells of them in
`X-RateLimit-*` headers (vendor API reference: rate limits). Times are seconds of a monotonic clock.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

LENGTH: Final = 60.0
"""A window, until the vendor says when it ends."""

UNHEARD_PAUSE: Final = 1.0
"""How long to hold back while nothing is known of a model and enough questions are out."""

ROUNDING: Final = 1.0
"""The vendor tells whole seconds: a question in the second before the end would be refused, and count."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What one answer says of its window: its size, what is left of it (below 0 when over), seconds until it ends."""

    limit: int
    remaining: int
    reset: float


@dataclass(frozen=True, kw_only=True)
class Window:
    """`granted`: by us, since it began. `remaining`: the vendor's last word, less what we granted since."""

    heard: bool = False
    limit: int | None = None
    remaining: int | None = None
    granted: int = 0
    ends_at: float | None = None
    ends_for_sure: bool = False
    blocked_until: float = 0.0


def grant(window: Window, now: float, *, share: float, unheard: int) -> tuple[Window, float]:
    """One request more, if there is room: then 0, otherwise the seconds to wait.

    Of a known limit we take our `share`, at least one request. Of a model never heard of at most `unheard` are out.
    """
    window = _rolled(window, now)
    if now < window.blocked_until:
        return window, window.blocked_until - now
    ends_at = now + LENGTH if window.ends_at is None else window.ends_at
    if not window.heard and window.granted >= unheard:
        return window, UNHEARD_PAUSE
    if window.limit is not None and window.granted >= max(1, math.floor(share * window.limit)):
        return window, ends_at - now
    if window.remaining is not None and window.remaining <= 0:
        return window, ends_at - now
    left = None if window.remaining is None else window.remaining - 1
    return replace(window, granted=window.granted + 1, remaining=left, ends_at=ends_at), 0.0


def observed(window: Window, now: float, told: Told | None) -> Window:
    """The window after an answer. Answers overtake each other: in a window its lowest word and earliest end count."""
    window = replace(_rolled(window, now), heard=True)
    if told is None:
        return window
    ends_at = now + told.reset + ROUNDING
    if window.ends_for_sure and window.ends_at is not None:
        ends_at = min(ends_at, window.ends_at)
    remaining = told.remaining if window.remaining is None else min(window.remaining, told.remaining)
    return replace(window, limit=told.limit, remaining=remaining, ends_at=ends_at, ends_for_sure=True)


def blocked(window: Window, now: float, seconds: float) -> Window:
    """Nothing is granted for so many seconds."""
    return replace(window, blocked_until=max(window.blocked_until, now + seconds))


def _rolled(window: Window, now: float) -> Window:
    """A window that has ended gives way to one that begins with its first grant."""
    if window.ends_at is None or now < window.ends_at:
        return window
    return replace(window, granted=0, remaining=None, ends_at=None, ends_for_sure=False)
