"""What is known of one model's allowance, and how each grant and each answer changes it: no clock, no storage.

The vendor counts requests, refused ones included, in windows of 60 seconds per model and account, and tells of them in
`X-RateLimit-*` headers (vendor API reference: rate limits). Times are epoch seconds. Where a function changes nothing
it gives the very window that it was given, so that nothing need be written.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

LENGTH: Final = 60.0
"""A window, until the vendor says how long its windows are."""

LIMIT: Final = 30
"""Requests of a window: the vendor's usual limit, for as long as it has not told of another."""

UNHEARD_PAUSE: Final = 1.0
"""How long to hold back while nothing is known of a model and enough questions are out."""

ROUNDING: Final = 1.0
"""The vendor tells whole seconds: a question in the second before the end would be refused, and count."""

LATE: Final = 1.5
"""What is granted in so many seconds before the end may arrive after it, and so counts in the next window too."""

SLACK: Final = 0.5
"""Seconds by which two ends may differ and be the same: what a request takes on its way."""

LONGEST_RESET: Final = 3600.0
SERVICE: Final = "llmgw"
_MOST_FIGURES: Final = 9

QUEUES: Final = "model:"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What one answer says of its window: its size, what is left of it (below 0 when over), seconds until it ends."""

    limit: int
    remaining: int
    reset: float


@dataclass(frozen=True, kw_only=True)
class Window:
    """`granted`: by us, since `opened_at`, the first grant. `late`: how many of those may belong to the next window.

    `remaining`: the vendor's last word, less what we granted since, where it counted more than we granted. `ends_at`
    is None until the first grant, then assumed by `length` until an answer says it.
    """

    heard: bool = False
    limit: int | None = None
    length: float = LENGTH
    opened_at: float = 0.0
    ends_at: float | None = None
    ends_for_sure: bool = False
    granted: int = 0
    late: int = 0
    remaining: int | None = None
    blocked_until: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Granted:
    """So many requests of the window that was `opened_at`; for more, `wait` so many seconds (0: there is no more)."""

    count: int
    wait: float
    opened_at: float


@dataclass(frozen=True, kw_only=True)
class Terms:
    """`share` (above 0, to 1) is this deployment's part of the account's allowance.

    `unheard` is how many questions may be out to a model before its first answer has told how many it takes.
    """

    share: float = 1.0
    unheard: int = 8


def queue_of(model: str) -> str:
    """The queue of the jobs that wait for this model."""
    return QUEUES + model


def model_of(queue: str) -> str:
    """The model that a queue is for."""
    return queue.removeprefix(QUEUES)


def grant(window: Window, now: float, wanted: int, terms: Terms) -> tuple[Window, Granted]:
    """As many of the `wanted` requests as there is room for.

    Of a known limit we take our share, at least one request. A model that tells of no limit has none.
    """
    rolled = _rolled(window, now)
    if now < rolled.blocked_until:
        return window, Granted(count=0, wait=rolled.blocked_until - now, opened_at=rolled.opened_at)
    if rolled.heard and rolled.limit is None:
        return window, Granted(count=wanted, wait=0.0, opened_at=rolled.opened_at)
    opened_at = now if rolled.ends_at is None else rolled.opened_at
    ends_at = now + rolled.length + ROUNDING if rolled.ends_at is None else rolled.ends_at
    count = max(0, min(wanted, _room(rolled, terms)))
    held_back = UNHEARD_PAUSE if not rolled.heard else ends_at - now
    granted = Granted(count=count, wait=0.0 if count == wanted else held_back, opened_at=opened_at)
    if not count:
        return window, granted
    left = None if rolled.remaining is None else rolled.remaining - count
    late = rolled.late + (count if ends_at - now <= LATE else 0)
    taken = rolled.granted + count
    return replace(rolled, granted=taken, late=late, remaining=left, opened_at=opened_at, ends_at=ends_at), granted


def given_back(window: Window, now: float, granted: Granted) -> Window:
    """The window after requests that were granted and never made."""
    if _rolled(window, now) is not window or window.opened_at != granted.opened_at or not granted.count:
        return window
    left = None if window.remaining is None else window.remaining + granted.count
    late = max(0, window.late - granted.count)
    return replace(window, granted=max(0, window.granted - granted.count), late=late, remaining=left)


def observed(window: Window, now: float, told: Told | None, *, sent_at: float) -> Window:
    """The window after an answer to a request of ours that was sent then; None: it told nothing.

    The vendor counts when a request arrives, and an answer may take longer than a window. Answers overtake each other:
    in a window the lowest word and the earliest end count.
    """
    rolled = _rolled(window, now)
    after = replace(rolled, heard=True)
    if told is not None:
        opener = told.remaining == told.limit - 1 and told.reset > 0
        after = replace(after, limit=told.limit, length=told.reset if opener else after.length)
        after = _placed(after, now, told, sent_at)
    return window if after == rolled else after


def blocked(window: Window, now: float, seconds: float) -> Window:
    """Nothing is granted for so many seconds, by a refusal: there is a limit, the usual one if none was ever told."""
    limit = LIMIT if window.limit is None else window.limit
    until = now + seconds
    until = until if until > window.blocked_until + SLACK else window.blocked_until
    after = replace(window, heard=True, limit=limit, blocked_until=until)
    return window if after == window else after


def allowance(window: Window, terms: Terms) -> int | None:
    """Our share of a window; None while no limit is known."""
    return None if window.limit is None else max(1, math.floor(terms.share * window.limit))


def used(window: Window, now: float) -> int:
    """What we were granted of the present window."""
    return _rolled(window, now).granted


def lasting(window: Window, requests: int, terms: Terms) -> float:
    """Seconds until so many requests are made, at the present rate."""
    each = allowance(window if window.heard else replace(window, limit=LIMIT), terms)
    return 0.0 if each is None else requests * window.length / each


def told(headers: Mapping[str, str]) -> Told | None:
    """The window that the headers describe; None when they are not all there, or speak of another service."""
    if headers.get("x-ratelimit-service", SERVICE) != SERVICE:
        return None
    limit = _whole(headers.get("x-ratelimit-limit"))
    remaining = _whole(headers.get("x-ratelimit-remaining"))
    reset = _whole(headers.get("x-ratelimit-reset"))
    if limit is None or limit < 1 or remaining is None or reset is None or not 0 <= reset <= LONGEST_RESET:
        return None
    return Told(limit=limit, remaining=remaining, reset=float(reset))


def _room(window: Window, terms: Terms) -> int:
    """Requests that may still be granted, below 0 when over."""
    if not window.heard:
        return terms.unheard - window.granted
    ours = allowance(window, terms)
    rooms = [] if ours is None else [ours - window.granted]
    return min([*rooms, *([] if window.remaining is None else [window.remaining])])


def _placed(window: Window, now: float, told: Told, sent_at: float) -> Window:
    """The window with what is told of its end and of what is left, unless that is about an earlier window."""
    ends_at = sent_at + told.reset + ROUNDING
    opened_at = now if window.ends_at is None else window.opened_at
    if ends_at <= now or (sent_at < opened_at and ends_at <= opened_at + 2 * ROUNDING):
        return window
    if window.ends_at is None or not window.ends_for_sure:
        if window.ends_at is None or abs(ends_at - window.ends_at) > SLACK:
            window = replace(window, opened_at=opened_at, ends_at=ends_at, ends_for_sure=True)
    elif ends_at < window.ends_at - SLACK:
        window = replace(window, ends_at=ends_at)
    if told.remaining < told.limit - window.granted:
        lowest = told.remaining if window.remaining is None else min(window.remaining, told.remaining)
        window = replace(window, remaining=lowest)
    return window


def _rolled(window: Window, now: float) -> Window:
    """A window that has ended gives way to one that begins with its first grant."""
    if window.ends_at is None or now < window.ends_at:
        return window
    late = window.late if now < window.ends_at + window.length else 0
    return replace(window, granted=late, late=0, remaining=None, ends_at=None, ends_for_sure=False)


def _whole(value: str | None) -> int | None:
    """A whole number of at most nine digits; a fraction is rounded up, so that we never wait too short."""
    digits = (value or "").strip()
    whole, _, fraction = digits.partition(".")
    sign, figures = (-1, whole[1:]) if whole.startswith("-") else (1, whole)
    if not (figures.isascii() and figures.isdigit() and len(figures) <= _MOST_FIGURES):
        return None
    return sign * int(figures) + (1 if fraction.strip("0") and sign > 0 else 0)
