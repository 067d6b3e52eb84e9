"""Makes the vendor's texts fit to be logged and published."""

import re
from typing import Final

LONGEST: Final = 500
"""Characters that are kept of any of the vendor's texts."""

_CONSIDERED: Final = 4_000
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}://)(\S+)")
_TAIL: Final = re.compile(r"[?#]\S*")
_SIGNED: Final = re.compile(r"(?:X-(?:Amz|Goog)-[A-Z-]{1,40}|AWSAccessKeyId|Signature|sig)=\S+", re.IGNORECASE)


def redacted(text: str) -> str:
    """The text in one line of at most 500 characters; its URLs keep neither user, query nor fragment.

    What looks like a query or a signature is taken out wherever it stands: the vendor quotes URLs in many ways.
    """
    line = " ".join(text[:_CONSIDERED].split())
    line = _SIGNED.sub("", _TAIL.sub(_kept, _URL.sub(_bare, line)))
    line = "".join(character if character.isprintable() else "\ufffd" for character in line).strip()
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _bare(url: re.Match[str]) -> str:
    rest = re.split(r"[?#]", url[2], maxsplit=1)[0]
    authority, slash, path = rest.partition("/")
    return url[1] + authority.rpartition("@")[2] + slash + path


def _kept(tail: re.Match[str]) -> str:
    return "" if "=" in tail[0] else tail[0]
