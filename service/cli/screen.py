"""What commands print: results on stdout, everything else on stderr, nothing that could steer a terminal."""

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from unicodedata import east_asian_width

from service.domain.errors import Problem, Refused

GAP = "  "
WIDEST = 110
"""Columns of running text, however wide the terminal is."""


def out(line: str = "") -> None:
    """A line of the result. Raises as `out_json`."""
    _write(clean(line))


def out_json(value: object) -> None:
    """The result for machines: one JSON document. Raises Refused when it cannot be written."""
    # File names need not be UTF-8: their odd bytes are lone surrogates, which ASCII escapes carry.
    text = json.dumps(value, indent=2, ensure_ascii=False)
    _write(text if _utf8(text) else json.dumps(value, indent=2))


def note(line: str) -> None:
    """Something to know beside the result."""
    sys.stderr.write(clean(line) + "\n")
    sys.stderr.flush()


def clean(text: str) -> str:
    """The text on one line, with escapes in place of what no terminal prints."""
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    return shown.encode("utf-8", "backslashreplace").decode()


def columns(rows: Sequence[Sequence[str]]) -> Sequence[str]:
    """The rows as lines with aligned columns; the last one is as long as it is."""
    rows = [[clean(cell) for cell in row] for row in rows]
    widths = [max(width(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        GAP.join(cell + " " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def wrapped(text: str, indent: str = "") -> Sequence[str]:
    """Running text in lines that fit the terminal."""
    wide = min(WIDEST, shutil.get_terminal_size().columns)
    return [
        line
        for paragraph in text.splitlines()
        for line in textwrap.wrap(paragraph, wide, initial_indent=indent, subsequent_indent=indent) or [""]
    ]


def width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(2 if east_asian_width(each) in {"W", "F"} else 1 for each in text)


def _write(text: str) -> None:
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read it has enough, which is no trouble to tell of.
        raise
    except OSError as error:
        what = f"the result cannot be written ({error.strerror})"
        raise Refused([Problem(place="stdout", what=what, cure="make room there, or send it elsewhere")]) from error


def _utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
