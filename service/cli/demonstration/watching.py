"""What the service's log tells of each recording."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from service.cli.figures import count
from service.cli.standing import STAGES, Standing
from service.domain import happened
from service.domain.job import Outcome

AT_ONCE: Final = 1 << 20
"""Bytes of the log that are read at a time."""

TRANSCRIBED: Final = 2
"""The stages behind a recording whose transcript is there."""

Line = Mapping[str, Any]


class Log:
    """The lines of a log file that were not read before; what is no JSON object is passed over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def fresh(self) -> Sequence[Line]:
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _ = file.read(AT_ONCE).rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        return [line for line in map(_parsed, whole.splitlines()) if line is not None]

    def tail(self, lines: int) -> Sequence[str]:
        """The last lines as they are."""
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        return [line for line in text.splitlines() if line.strip()][-lines:]


@dataclass(frozen=True, kw_only=True)
class Course:
    """How far one recording has come. `asked` prompts in all; `heard` and `refused` callbacks."""

    job_id: str
    key: str
    asked: int = 0
    stage: int = -1
    """How many of STAGES are behind it; -1 before the service has taken it."""
    heard: int = 0
    refused: int = 0
    answers: frozenset[str] = field(default_factory=frozenset)
    outcome: str | None = None
    error: str = ""

    @property
    def ended(self) -> bool:
        return self.outcome is not None

    @property
    def at_vendor(self) -> bool:
        """Submitted, and nothing of it in our hands."""
        return self.stage == 1 and not self.heard

    def standing(self) -> Standing:
        """As the screen shows it."""
        doing = {-1: "dropped", 0: "submitting", 1: "transcribing", 2: "asking prompts", 3: "publishing"}
        failed = self.outcome == Outcome.FAILED
        return Standing(
            id=self.job_id,
            name=self.key,
            doing=("failed" if failed else "published") if self.ended else doing[self.stage],
            more=self._more(),
            done=max(self.stage, 0),
            ended=self.ended,
            failed=failed,
            since=0.0,
        )

    def _more(self) -> str:
        if self.error:
            return self.error
        if self.ended:
            return f"{count(len(self.answers), 'answer')}, one event"
        if self.stage == 1:
            return "called back" if self.heard else ""
        if not self.answers:
            return ""
        return f"{len(self.answers)} of {self.asked}" if self.asked else count(len(self.answers), "answer")


STAGES_AFTER: Final[Mapping[object, int]] = MappingProxyType(
    {
        happened.DROP_RECEIVED: 0,
        happened.JOB_SUBMITTED: 1,
        happened.JOB_ADOPTED: 1,
        happened.JOB_TRANSCRIBED: TRANSCRIBED,
        happened.JOB_PUBLISHED: len(STAGES),
    }
)


def advanced(course: Course, line: Line) -> Course:
    """The course after a line of the log about its job."""
    course = replace(course, stage=STAGES_AFTER.get(line.get("event"), course.stage))
    match line.get("event"):
        case happened.CALLBACK_RECEIVED:
            return replace(course, heard=course.heard + 1)
        case happened.CALLBACK_REFUSED:
            return replace(course, refused=course.refused + 1)
        case happened.ANSWER_STORED:
            return replace(course, answers=course.answers | {str(line.get("prompt"))})
        case happened.JOB_DECIDED:
            return replace(course, error=str(line.get("error", "")))
        case happened.JOB_PUBLISHED:
            return replace(course, outcome=str(line.get("outcome")))
        case _:
            return course


def _parsed(line: bytes) -> Line | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
