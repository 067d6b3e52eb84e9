"""The last line of defence of the log: secrets masked, queries cut off, nothing unbounded.

Whoever logs should pass nothing of the kind in the first place.
"""

import re
from collections.abc import Mapping, Sequence, Set
from functools import lru_cache
from pathlib import PurePath
from typing import Final

MASK: Final = "***"
STRING_AT_MOST: Final = 1000
ITEMS_AT_MOST: Final = 50
DEPTH_AT_MOST: Final = 4

_SECRET: Final = re.compile(
    r"authorization|api[_-]?key|secret|passw|cookie|credential|signature|upload_url|(^|[_-])tokens?$", re.IGNORECASE
)
_URL: Final = re.compile(
    r"(?P<scheme>https?://)(?P<user>[^\s/?#@]*@)?(?P<rest>[^\s?#\"'<>]*)(?P<tail>[?#][^\s\"'<>]*)?", re.IGNORECASE
)
_BEARER: Final = re.compile(r"\b(?P<scheme>bearer|basic)\s+[^\s\"',]+", re.IGNORECASE)


def masked(fields: Mapping[str, object]) -> dict[str, object]:
    """The fields, fit for the log: only JSON's own types, strings of at most 1,000 characters, four levels deep."""
    return {name: _field(name, value, DEPTH_AT_MOST) for name, value in fields.items()}


def told(text: str) -> str:
    """The text without users and queries of URLs and without credentials, cut to 1,000 characters."""
    if len(text) <= STRING_AT_MOST and text.isascii() and "://" not in text and " " not in text:
        return text
    # Names of files may hold what is no Unicode; a line about one must still come out.
    cut = text[: STRING_AT_MOST * 2].encode(errors="backslashreplace").decode()
    if "://" in cut:
        cut = _URL.sub(_without_query, cut)
    cut = _BEARER.sub(rf"\g<scheme> {MASK}", cut) if " " in cut else cut
    return cut if len(cut) <= STRING_AT_MOST else f"{cut[:STRING_AT_MOST]}… ({len(text)} characters)"


def _without_query(url: re.Match[str]) -> str:
    user = f"{MASK}@" if url["user"] else ""
    tail = f"{url['tail'][0]}{MASK}" if url["tail"] else ""
    return f"{url['scheme']}{user}{url['rest']}{tail}"


def _field(name: object, value: object, depth: int) -> object:
    # A fencing token and a count of tokens are numbers, and no secrets.
    if value and _secret(str(name)) and isinstance(value, (str, bytes, Sequence, Mapping)):
        return MASK
    return _value(value, depth)


@lru_cache(maxsize=1024)
def _secret(name: str) -> bool:
    return _SECRET.search(name) is not None


def _value(value: object, depth: int) -> object:
    if type(value) is str:
        return told(value)
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and -(2**63) <= value < 2**63):
        return value
    if isinstance(value, (str, PurePath)):
        return told(str(value))
    if isinstance(value, Mapping) and depth:
        first = list(value.items())[:ITEMS_AT_MOST]
        return {told(str(name)): _field(name, item, depth - 1) for name, item in first}
    if isinstance(value, (Sequence, Set)) and not isinstance(value, (bytes, bytearray, memoryview)) and depth:
        return [_value(item, depth - 1) for item in list(value)[:ITEMS_AT_MOST]]
    # Anything else could say more of itself than is ours to tell.
    return f"<{type(value).__name__}>"
