"""What a request for a callback may meet with, and what is answered: a table, so that it can be read as one."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Result(StrEnum):
    """What became of a request for a callback."""

    COUNTED = "counted"
    ENDED = "ended"
    UNKNOWN = "unknown"
    OTHER_SUBJECT = "other_subject"
    WRONG_METHOD = "wrong_method"
    FORGED = "forged"
    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    SLOW = "slow"
    GONE = "gone"
    STOPPING = "stopping"
    OVERLOADED = "overloaded"
    UNSTORED = "unstored"

    @property
    def stored(self) -> bool:
        """Whether what was said is durable: the only reason for a 2xx."""
        return self in {Result.COUNTED, Result.ENDED, Result.UNKNOWN, Result.OTHER_SUBJECT}


ANSWERS: Final[Mapping[Result, tuple[int, bytes]]] = MappingProxyType(
    {
        Result.COUNTED: (204, b""),
        Result.ENDED: (204, b""),
        Result.UNKNOWN: (204, b""),
        Result.OTHER_SUBJECT: (204, b""),
        Result.WRONG_METHOD: (405, b"callbacks are posted\n"),
        Result.FORGED: (401, b"the token is not this job's\n"),
        Result.OVERSIZED: (413, b"the body is too large\n"),
        Result.MALFORMED: (400, b"the body is not the documented JSON\n"),
        # Slowness may be the network's between us, and a 4xx would be final.
        Result.SLOW: (503, b"the body did not arrive in time\n"),
        Result.STOPPING: (503, b"stopping; try again\n"),
        Result.OVERLOADED: (503, b"too much at once; try again\n"),
        Result.UNSTORED: (503, b"not stored; try again\n"),
    }
)

OUR_TROUBLE: Final = frozenset({Result.STOPPING, Result.OVERLOADED, Result.UNSTORED, Result.SLOW, Result.GONE})
MISPLACED: Final = frozenset({Result.UNKNOWN, Result.OTHER_SUBJECT})


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on what strangers may cost. Both times together stay well inside the vendor's 10 s."""

    body_bytes: int = 64 * 1024
    body_within: float = 3.0
    store_within: float = 4.0
    in_flight: int = 1000
    discard_bytes: int = 1024 * 1024
    discard_within: float = 1.0
