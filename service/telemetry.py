"""The log: structlog's native way to stderr, as JSON lines or for people to read.

Only entry points call `configure`; everything else logs by `structlog.get_logger()` and the names in `happened`.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from types import TracebackType
from typing import Any, Final, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

from service.domain import happened
from service.domain.masking import masked

FRAMES_AT_MOST: Final = 8
CAUSES_AT_MOST: Final = 6
FORMATS: Final = ("auto", "json", "console")


def configure(form: str, level: str, stream: TextIO) -> None:
    """Log in `form` (one of FORMATS; `auto`: for people on a terminal) from `level` on, to `stream`.

    A stream that cannot be written to loses lines and disturbs nobody. Libraries' own warnings, failed threads and
    errors that nobody could raise come out the same way.
    """
    json = form == "json" or (form == "auto" and not stream.isatty())
    structlog.configure(
        processors=_processors(json=json, colors=stream.isatty()),
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: Sink(stream),
        cache_logger_on_first_use=False,
    )
    _unhook()
    logging.getLogger().addHandler(Relay(logging.WARNING))
    sys.unraisablehook = _unraisable
    threading.excepthook = _thread_failed


def reset() -> None:
    """Undo `configure`."""
    _unhook()
    structlog.reset_defaults()
    sys.unraisablehook = sys.__unraisablehook__
    threading.excepthook = threading.__excepthook__


class Sink:
    """Where rendered lines go. A full disk or a closed pipe behind stderr must not stop the work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        # One write per line, so that threads do not mix their lines.
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return

    debug = info = warning = error = critical = msg


class Relay(logging.Handler):
    """What libraries tell the standard library's log, in ours.

    Only a message's first line and never its arguments: those hold URLs, bodies and the words of exceptions. The same
    at most once a second: strangers can make a server warn as often as they like.
    """

    KINDS_AT_MOST: Final = 100

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._sparing: dict[tuple[str, str], Sparing] = {}

    def emit(self, record: logging.LogRecord) -> None:
        said = str(record.msg).strip().partition("\n")[0]
        if len(self._sparing) >= self.KINDS_AT_MOST:
            self._sparing.clear()
        left_out = self._sparing.setdefault((record.name, said), Sparing(time.monotonic)).turn()
        if left_out is not None:
            log = structlog.get_logger().bind(logger=record.name, said=said, left_out=left_out)
            log.log(record.levelno, happened.LIBRARY_WARNED, exc_info=record.exc_info)


class Sparing:
    """At most one line a second, with the number of those left out, so that a flood cannot fill the log."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next = float("-inf")
        self._left_out = 0

    def turn(self) -> int | None:
        """None: leave this one out. Otherwise how many were left out before it."""
        if self._clock() < self._next:
            self._left_out += 1
            return None
        left_out, self._left_out, self._next = self._left_out, 0, self._clock() + 1.0
        return left_out


def _processors(*, json: bool, colors: bool) -> Sequence[Processor]:
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _error_without_words,
        _discreet,
    ]
    if json:
        return [*shared, structlog.processors.TimeStamper(fmt="iso", utc=True), _as_json]
    return [
        *shared,
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%SZ", utc=True),
        # Values are shown as literals: a recording's name must not reach the terminal as control characters.
        structlog.dev.ConsoleRenderer(colors=colors, repr_native_str=True, sort_keys=False, pad_event_to=18),
    ]


def _error_without_words(_: object, __: str, line: EventDict) -> EventDict:
    """The exception as types and places: its words may hold URLs or what was said in a recording."""
    given = line.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        line["exception"] = _chain(error)
    return line


def _chain(error: BaseException) -> list[str]:
    links: list[str] = []
    waiting = [error]
    while waiting and len(links) < CAUSES_AT_MOST:
        link = waiting.pop()
        links.append(f"{type(link).__module__}.{type(link).__qualname__} at {_places(link.__traceback__)}")
        inner = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        waiting += [inner] if inner is not None else []
        waiting += list(link.exceptions) if isinstance(link, BaseExceptionGroup) else []
    return links


def _places(trace: TracebackType | None) -> str:
    places: list[str] = []
    while trace is not None:
        frame = trace.tb_frame
        places.append(f"{frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " > ".join(places[-FRAMES_AT_MOST:]) or "?"


def _discreet(_: object, __: str, line: EventDict) -> Mapping[str, object]:
    return masked(line)


def _as_json(_: object, __: str, line: MutableMapping[str, Any]) -> str:
    return orjson.dumps(
        line, option=orjson.OPT_NON_STR_KEYS, default=lambda value: f"<{type(value).__name__}>"
    ).decode()


def _unraisable(found: "sys.UnraisableHookArgs") -> None:
    structlog.get_logger().error(happened.ERROR_UNRAISABLE, exc_info=found.exc_value)


def _thread_failed(found: threading.ExceptHookArgs) -> None:
    thread = found.thread.name if found.thread else None
    structlog.get_logger().error(happened.THREAD_FAILED, thread=thread, exc_info=found.exc_value)


def _unhook() -> None:
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, Relay)]:
        root.removeHandler(handler)
