"""Reading JSON that others wrote: each function gives a value of one type, or None where there is none."""

import json
import math
from collections.abc import Mapping, Sequence

import orjson


class Garbled(ValueError):
    """The answer is not what the vendor documents; the message says in which way and quotes nothing."""


def parsed(body: bytes | bytearray) -> Mapping[str, object]:
    """The JSON object of a body. Raises Garbled."""
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _mended(body)
    if not isinstance(value, dict):
        raise Garbled("it is not a JSON object")
    return value


def _mended(body: bytes | bytearray) -> object:
    """What was paid for must not be lost for an emoji that was cut in two, or for a figure that is none.

    Half characters become question marks; NaN and Infinity, which some servers write, become null.
    """
    try:
        read: object = json.loads(body.decode(errors="replace"), parse_constant=lambda _: None)
        mended: object = orjson.loads(json.dumps(read, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        raise Garbled("it is not JSON") from None
    return mended


def mapping(value: object) -> Mapping[str, object]:
    """An object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> Sequence[object] | None:
    return value if isinstance(value, list) else None


def text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def number(value: object) -> float | None:
    """A finite number; a boolean is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def count(value: object) -> int | None:
    """A number from 0 on, whole."""
    amount = number(value)
    return None if amount is None or amount < 0 else int(amount)


def label(value: object) -> str | None:
    """A short name, which some answers give as a number."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
