"""How a shut gate is probed, whichever engine keeps it."""

from dataclasses import replace
from typing import Final

from service.ports.store import Closed

FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 300.0


def first_closed(gate: str, reason: str, now: float) -> Closed:
    """A gate that was open until now."""
    return Closed(gate=gate, since=now, next_probe_at=now + FIRST_PAUSE, pause=FIRST_PAUSE, reason=reason)


def probed(closed: Closed, now: float) -> Closed:
    """The gate while somebody tries it: the next may do so a longer pause away, should this one fail or vanish."""
    pause = min(closed.pause * 2, LONGEST_PAUSE)
    return replace(closed, next_probe_at=now + pause, pause=pause)
