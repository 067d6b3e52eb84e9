"""Which names in a dropped-into folder are no recordings, by their name alone."""

from pathlib import PurePosixPath
from typing import Final

TEMPORARY: Final = (
    "~",
    ".aria2",
    ".crdownload",
    ".download",
    ".filepart",
    ".opdownload",
    ".part",
    ".partial",
    ".swp",
    ".temp",
    ".tmp",
)
"""Endings that browsers, copiers and editors give to what they have not finished."""

SYSTEM: Final = frozenset(
    {
        "$recycle.bin",
        "#recycle",
        "@eadir",
        "desktop.ini",
        "ehthumbs.db",
        "lost+found",
        "system volume information",
        "thumbs.db",
    }
)
"""What operating systems and storage boxes leave behind."""


def unwanted(key: str) -> tuple[str, str] | None:
    """The first part of `key` that cannot be a recording or a folder of recordings, and why; None if all can.

    A folder with such a name is left alone with all that is in it: unfinished folders are renamed when they are done.
    Names that are not UTF-8 are left alone too, because no event could carry them.
    """
    segments = PurePosixPath(key).parts
    for depth, segment in enumerate(segments, start=1):
        reason = _unwanted(segment)
        if reason is not None:
            return "/".join(segments[:depth]), reason
    return None


def printable(key: str) -> str:
    """The key as it can be logged: bytes that are not UTF-8 stand as escapes."""
    return key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _unwanted(segment: str) -> str | None:
    folded = segment.casefold()
    try:
        segment.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if segment.startswith("."):
        return "hidden"
    if folded.endswith(TEMPORARY) or segment.startswith("~$"):
        return "temporary"
    if folded in SYSTEM:
        return "the operating system's own"
    return None
