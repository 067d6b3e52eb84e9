"""Globs over the keys of recordings.

A pattern and a key are split at `/`. Within a segment `*` is any number of characters, `?` is one, `[abc]`, `[a-z]`
and `[!a-z]` are one of (or none of) a class; a `]` right after the opening bracket and a `-` at either end of a class
stand for themselves. A segment `**` is any number of segments, none included. Every other character stands for
itself (there is no escape: `[*]` is a star). Case is ignored and canonically equal Unicode is equal.

A pattern that begins `s3://bucket/` matches keys of that bucket alone; the bucket may be a pattern too.

Matching walks forward and returns to the latest star only, so its cost is at most the product of both lengths.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

LONGEST: Final = 1024
"""Characters of a pattern, as many as an S3 key can have bytes."""


class BadGlob(ValueError):
    """The pattern has no meaning. `what` is wrong and the `cure`, fit for a Problem."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"{what}; {cure}")
        self.what = what
        self.cure = cure


class Wild(Enum):
    MANY = "*"
    """Any number of characters, or of segments."""
    ONE = "?"


@dataclass(frozen=True, kw_only=True)
class OneOf:
    """A class of characters: the ranges, ends included, that it holds (or shuns)."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool


P = TypeVar("P")
S = TypeVar("S")

Token = str | Wild | OneOf
Segment = Wild | tuple[Token, ...]


@dataclass(frozen=True, kw_only=True)
class Glob:
    """A parsed pattern. `bucket` is None where any will do."""

    bucket: tuple[Token, ...] | None
    segments: tuple[Segment, ...]


def parse(pattern: str) -> Glob:
    """Raises BadGlob."""
    text = unicodedata.normalize("NFC", pattern)
    if not text.strip():
        raise BadGlob("the pattern is empty", 'write a pattern such as "calls/**/*.mp3"')
    if len(text) > LONGEST:
        raise BadGlob(f"the pattern is longer than {LONGEST} characters", "shorten it")
    bucket: tuple[Token, ...] | None = None
    if text.lower().startswith("s3://"):
        name, slash, text = text[5:].partition("/")
        if not (name and slash and text) or name == "**":
            raise BadGlob("the pattern names no bucket and key", 'write it like "s3://bucket/calls/**/*.mp3"')
        bucket = _tokens(name)
    return Glob(bucket=bucket, segments=tuple(_segment(segment) for segment in text.split("/")))


def matches(glob: Glob, key: str, uri: str) -> bool:
    """Whether the recording of this key, found at this URI, is meant."""
    if glob.bucket is not None:
        if not uri.startswith("s3://"):
            return False
        bucket = uri[5:].partition("/")[0]
        if not _fits(glob.bucket, bucket):
            return False
    segments = unicodedata.normalize("NFC", key).split("/")
    return _wild(glob.segments, segments, _fits)


def _segment(text: str) -> Segment:
    if text == "**":
        return Wild.MANY
    if "**" in text:
        raise BadGlob(
            "`**` stands beside other characters, where it has no meaning",
            'give it a segment alone, as in "calls/**/*.mp3"',
        )
    return _tokens(text)


def _tokens(text: str) -> tuple[Token, ...]:
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match text[at]:
            case "*":
                tokens.append(Wild.MANY)
            case "?":
                tokens.append(Wild.ONE)
            case "[":
                one_of, at = _class(text, at)
                tokens.append(one_of)
            case character:
                tokens.append(character.casefold())
        at += 1
    return tuple(tokens)


def _class(text: str, start: int) -> tuple[OneOf, int]:
    """The class that opens at `start`, and where it closes."""
    first = start + 2 if text[start + 1 : start + 2] == "!" else start + 1
    end = text.find("]", first + 1)
    if end < 0:
        raise BadGlob(
            "a `[` is never closed within its segment",
            "close the class with `]`, or write `[[]` for the bracket itself",
        )
    ranges: list[tuple[str, str]] = []
    at = first
    while at < end:
        low = high = text[at]
        if at + 2 < end and text[at + 1] == "-":
            high = text[at + 2]
            at += 2
        if high < low:
            raise BadGlob(f"the range `{low}-{high}` is backwards", f"write `{high}-{low}`")
        ranges.append((low, high))
        at += 1
    return OneOf(ranges=tuple(ranges), negated=first == start + 2), end


def _fits(segment: Segment, text: str) -> bool:
    if isinstance(segment, Wild):
        return True
    return _wild(segment, text, _is)


def _is(token: Token, character: str) -> bool:
    match token:
        case Wild():
            return True
        case OneOf():
            shapes = (character, character.lower(), character.upper())
            found = any(low <= shape <= high for shape in shapes for low, high in token.ranges)
            return found is not token.negated
        case _:
            return token == character.casefold()


def _wild(pattern: Sequence[P], subject: Sequence[S], same: Callable[[P, S], bool]) -> bool:
    """Whether `pattern`, in which Wild.MANY is any number of items, is the whole `subject`."""
    p = s = 0
    star = -1
    resume = 0
    while s < len(subject):
        if p < len(pattern) and pattern[p] is Wild.MANY:
            star, resume = p, s
            p += 1
        elif p < len(pattern) and same(pattern[p], subject[s]):
            p += 1
            s += 1
        elif star >= 0:
            # Only the latest star need give way: what stood before it matched as early as it could.
            resume += 1
            p, s = star + 1, resume
        else:
            return False
    return all(item is Wild.MANY for item in pattern[p:])
