"""Durations as people write them."""

import math
import re
from typing import Final

SECOND: Final = 1.0
MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0

LONGEST: Final = 3650 * DAY

_SHAPE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?([smhd]?)", re.ASCII)


def seconds(text: str, *, bare: float = SECOND) -> float:
    """`30s`, `10m`, `2h`, `90d`, or a bare number of `bare` seconds each. Raises ValueError beyond ten years."""
    found = _SHAPE.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError("not a duration")
    unit = {"": bare, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}[found[2]]
    value = float(found[1]) * unit
    if not math.isfinite(value) or value > LONGEST:
        raise ValueError("longer than ten years")
    return value
