"""How trouble is told: one sentence each on stderr, and an exit code."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from service.cli.screen import note
from service.domain.errors import Permanent, Problem, Refused, Transient
from service.engine.errors import EngineError, StoreTrouble

FAILED: Final = 1
"""The exit code of whatever did not go through; wrong usage is typer's 2."""

LEVEL: Final = "AFTERWORD_LOG_LEVEL"


def complain(error: Exception) -> int:
    """Tell of the error; the exit code that follows from it."""
    for sentence in sentences(error):
        note(f"error: {sentence}")
    if not _foreseen(error) and os.environ.get(LEVEL, "").strip().lower() == "debug":
        _detail(error)
    return FAILED


def warn(problems: Iterable[Problem]) -> None:
    """Tell of what stops nothing."""
    for problem in problems:
        note(f"warning: {problem}")


def refusal(place: str, what: str, cure: str) -> Refused:
    """One problem, to be raised."""
    return Refused([Problem(place=place, what=what, cure=cure)])


def sentences(error: Exception) -> Sequence[str]:
    """What a person should know of the error, and do about it; never its words unless they are ours."""
    return [str(problem) for problem in error.problems] if isinstance(error, Refused) else [_sentence(error)]


def _sentence(error: Exception) -> str:
    match error:
        case Transient():
            said = f"{error.message}; try again later"
        case Permanent():
            said = error.message
        case StoreTrouble():
            cure = "see that AFTERWORD_JOBS names a sound file on a disk with room, or a table in reach, then try again"
            said = f"{error}; {cure}"
        case EngineError():
            said = "somebody else is at that job; try again"
        case TimeoutError():
            said = "it took too long; try again"
        case _:
            kind = type(error).__name__
            said = (
                f"something unexpected went wrong ({kind}); set {LEVEL}=debug, run it again and report what it prints"
            )
    return said


def _foreseen(error: Exception) -> bool:
    return isinstance(error, (Refused, Transient, Permanent, EngineError, TimeoutError))


def _detail(error: Exception) -> None:
    """Where it happened, as the log tells of errors: types and places, never words."""
    import structlog  # noqa: PLC0415  # costs every start what only this needs

    from service import telemetry  # noqa: PLC0415
    from service.domain import happened  # noqa: PLC0415

    telemetry.configure("auto", "debug", sys.stderr)
    structlog.get_logger().error(happened.OPERATION_FAILED, exc_info=error)
