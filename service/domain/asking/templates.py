"""The language of prompts: text, and variables as `{{ name }}` with any spacing. No statements, filters or calls."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from service.domain.pipeline import NAME
from service.domain.spelling import did_you_mean, shown

OPENING: Final = "{{"
CLOSING: Final = "}}"


class Source(StrEnum):
    """What a variable stands for; the value is how it is written (before a further name, if it takes one)."""

    TRANSCRIPT = "transcript"
    """Left for the LLM Gateway to fill by the transcript's id."""
    UTTERANCES = "utterances"
    PARAGRAPHS = "paragraphs"
    TRANSCRIPT_ID = "transcript_id"
    ANSWER = "answers"
    KEY = "source.key"
    NAME = "source.name"
    METADATA = "source.metadata"


@dataclass(frozen=True, kw_only=True)
class Variable:
    """`name` is the prompt's whose answer is meant, or the metadata's in lower case; empty for the other sources."""

    source: Source
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that is no variable: `tag` is its source text, from the line `line` of the template on (from 0)."""

    tag: str
    line: int
    what: str
    cure: str


@dataclass(frozen=True, kw_only=True)
class Template:
    """Pieces of text and variables in their order. Rendered only if there are no faults."""

    pieces: tuple[str | Variable, ...]
    faults: tuple[Fault, ...] = ()

    def variables(self) -> tuple[Variable, ...]:
        return tuple(piece for piece in self.pieces if isinstance(piece, Variable))


_SIMPLE: Final = {each.value: each for each in Source if each not in {Source.ANSWER, Source.METADATA}}
_KNOWN: Final = (*_SIMPLE, "answers.NAME", "source.metadata.NAME")
_METADATA: Final = r"[A-Za-z0-9_.-]{1,128}"


def parse(text: str) -> Template:
    """In one pass, linear in the text."""
    pieces: list[str | Variable] = []
    faults = _statements(text)
    at = 0
    while (start := text.find(OPENING, at)) >= 0:
        pieces.append(text[at:start])
        end = text.find(CLOSING, start)
        inner = text[start + 2 : end] if end >= 0 else ""
        if end < 0 or OPENING in inner:
            cure = "close it with `}}`, or put a blank between the braces if text is meant"
            faults.append(_fault(text, start, text[start : start + 40], "a `{{` is never closed", cure))
            at = start + 2
            if end < 0:
                break
            continue
        found = _variable(inner.strip())
        if isinstance(found, Variable):
            pieces.append(found)
        else:
            faults.append(_fault(text, start, text[start : end + 2], *found))
        at = end + 2
    pieces.append(text[at:])
    return Template(pieces=tuple(piece for piece in pieces if piece), faults=tuple(faults))


def _fault(text: str, start: int, tag: str, what: str, cure: str) -> Fault:
    return Fault(tag=tag, line=text.count("\n", 0, start), what=what, cure=cure)


def _statements(text: str) -> list[Fault]:
    start = text.find("{%")
    if start < 0:
        return []
    what = "`{% … %}` is a statement, and prompts have variables only"
    return [_fault(text, start, "{%", what, "take it out; the condition or loop can be put to the model in words")]


def _variable(name: str) -> Variable | tuple[str, str]:
    """The variable of that name, or what is wrong with it and the cure."""
    if name in _SIMPLE:
        return Variable(source=_SIMPLE[name])
    answer = re.fullmatch(rf"answers\.({NAME})", name)
    if answer:
        return Variable(source=Source.ANSWER, name=answer[1])
    metadata = re.fullmatch(rf"source\.metadata\.({_METADATA})", name)
    if metadata:
        return Variable(source=Source.METADATA, name=metadata[1].lower())
    return _unknown(name)


def _unknown(name: str) -> tuple[str, str]:
    written = f"write one of: {', '.join(_KNOWN)}"
    if "|" in name:
        return f"{shown(name)} uses a filter, and prompts have variables only", "leave out what begins with `|`"
    if "(" in name:
        return f"{shown(name)} is a call, and prompts have variables only", written
    if re.fullmatch(rf"answers\.{NAME}\..+", name):
        what = f"{shown(name)} points into an answer, and prompts use whole answers"
        return what, "write `{{ answers.NAME }}`: of a structured answer that is its JSON"
    if not name:
        return "`{{ }}` names no variable", written
    near = did_you_mean(name, _KNOWN)
    return f"there is no variable {shown(name)}", f"did you mean `{near}`?" if near else written
