"""Where in a TOML text each key stands: the parser tells values only, and a person needs the line."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Path = tuple[str | int, ...]
"""Keys and positions in arrays, from the root."""

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEYS: Final = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER: Final = re.compile(rf"\s*(\[\[?)\s*({_KEYS})\s*\]")
_ASSIGNMENT: Final = re.compile(rf"\s*({_KEYS})\s*=")
_STRUCTURE: Final = re.compile(r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|#|[\[{]|[\]}]')


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The lines (from 1) where tables and keys of one text begin."""

    text: Sequence[str]
    starts: Mapping[Path, int]

    def of(self, path: Path, tag: str | None = None) -> int:
        """The line of what stands at `path`, or of the nearest thing around it that has one.

        With `tag`, the first line from there on, before the next key or table, that holds it.
        """
        while path and path not in self.starts:
            path = path[:-1]
        start = self.starts.get(path, 1)
        if tag is not None:
            end = min((line for line in self.starts.values() if line > start), default=len(self.text) + 1)
            first = tag.split("\n", 1)[0]
            return next((line for line in range(start, end) if first in self.text[line - 1]), start)
        return start


def scan(text: str) -> Lines:
    """For a text that the TOML parser has accepted; of another, anything may be said."""
    lines = text.split("\n")
    starts: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    quote, depth = "", 0
    for number, line in enumerate(lines, 1):
        rest = line
        if not quote and not depth:
            if header := _HEADER.match(line):
                table = _entered(_keys(header[2]), header[1] == "[[", counts)
                starts.setdefault(table, number)
                continue
            if assignment := _ASSIGNMENT.match(line):
                starts.setdefault((*table, *_keys(assignment[1])), number)
                rest = line[assignment.end() :]
        quote, depth = _after(rest, quote, depth)
    return Lines(text=lines, starts=starts)


def _keys(dotted: str) -> Path:
    return tuple(key.strip("\"'") for key in re.findall(_KEY, dotted))


def _entered(keys: Path, array: bool, counts: dict[Path, int]) -> Path:  # noqa: FBT001 (as it is written: [ or [[)
    """The table that a header opens: each array on the way stands for its last element."""
    path: Path = ()
    for at, key in enumerate(keys):
        path = (*path, key)
        if array and at == len(keys) - 1:
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path = (*path, counts[path] - 1)
    return path


def _after(line: str, quote: str, depth: int) -> tuple[str, int]:
    """What a line leaves open: the quotes of a long string, and how many brackets."""
    at = 0
    while at < len(line):
        if quote:
            end = line.find(quote, at)
            if end < 0:
                return quote, depth
            quote, at = "", end + 3
            continue
        found = _STRUCTURE.search(line, at)
        if found is None or found[0] == "#":
            break
        at = found.end()
        if found[0] in {'"""', "'''"}:
            quote = found[0]
        elif found[0] in "[{":
            depth += 1
        elif found[0] in "]}":
            depth -= 1
    return quote, depth
