"""The files of a watched folder on their way in: each waits until it rests, is hashed once, and handed over once."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol

import structlog
from anyio import to_thread

from service.adapters.drops.describe import Changed, measured, recording
from service.adapters.drops.grounds import Found, Grounds, Left, Stamp, words
from service.adapters.drops.names import printable
from service.domain.errors import ServiceError, Transient
from service.domain.happened import DROP_IGNORED, DROP_UNREADABLE, DROPS_FAILED
from service.domain.identity import file_uri
from service.domain.job import Recording
from service.domain.tally import DROPS, Tally
from service.engine.errors import EngineError
from service.ports.places import Take

LONGEST_PAUSE: Final = 60.0
"""Seconds between two tries of a file at most."""


class Known(Protocol):
    """Whether a recording of this name was handed over before."""

    async def __call__(self, name: str, /) -> bool:
        """Raises Transient or StoreTrouble."""
        ...


@dataclass(slots=True)
class File:
    """What is remembered of a file: little, for there may be very many.

    `done` is the stamp that needs nothing more. While it waits (`waits`) `stamp` is the one it had when last looked at.
    """

    scan: int
    told: str | None = None
    done: Stamp | None = None
    waits: bool = False
    stamp: Stamp | None = None
    urgent: bool = False
    attended: bool = False
    stirred: bool = False
    failures: int = 0
    announced: Recording | None = None
    timer: asyncio.TimerHandle | None = None


def pause(failures: int, retry_after: float | None) -> float:
    """Seconds until the next try after so many failures in a row."""
    return max(min(2.0 ** min(failures - 1, 10), LONGEST_PAUSE), retry_after or 0.0)


class Arrivals:
    """Lives as long as the folder is watched. Everything but hashing and looking happens in the event loop."""

    def __init__(
        self,
        grounds: Grounds,
        take: Take,
        *,
        known: Known,
        wanted: Callable[[str, str], bool],
        clock: Callable[[], float],
        tally: Tally,
        settle: float,
    ) -> None:
        self._grounds = grounds
        self._take = take
        self._known = known
        self._wanted = wanted
        self._clock = clock
        self._tally = tally
        self._settle = settle
        self._files: dict[str, File] = {}
        self._ready: asyncio.PriorityQueue[tuple[bool, int, str]] = asyncio.PriorityQueue()
        self._order = count()
        self._scan = 0
        self._failing = False
        self._log = structlog.get_logger()

    def notice(self, found: Found | Left, *, urgent: bool) -> None:
        """Something stands there. `urgent`: it just came or changed, so it goes before what is being caught up on."""
        file = self._files.setdefault(found.key, File(scan=self._scan))
        file.scan = self._scan
        if isinstance(found, Left):
            self._tell(found, file)
        elif file.waits:
            file.stirred = file.stirred or (urgent and file.attended)
        elif file.done != found.stamp:
            file.waits, file.stamp, file.urgent = True, found.stamp, urgent
            # Nobody can set the time of change back: an old one means that nothing is being written. A time in the
            # future says nothing, then only watching helps.
            rests = not urgent and self._clock() - found.touched >= self._settle
            self._look_later(found.key, file, 0.0 if rests else self._settle)

    def begin_scan(self) -> None:
        self._scan += 1

    def end_scan(self) -> None:
        """Forget what the scan did not meet: it is gone."""
        gone = [key for key, file in self._files.items() if file.scan < self._scan and not file.waits]
        for key in gone:
            del self._files[key]

    def close(self) -> None:
        for file in self._files.values():
            if file.timer is not None:
                file.timer.cancel()

    async def attend(self) -> None:
        """Look after one waiting file after the other, until cancelled."""
        while True:
            _, _, key = await self._ready.get()
            file = self._files[key]
            file.attended = True
            found = await to_thread.run_sync(self._grounds.look, key)
            if isinstance(found, Found) and found.stamp != file.stamp:
                file.stamp, file.failures, file.announced = found.stamp, 0, None
                self._look_later(key, file, self._settle)
            elif isinstance(found, Found):
                await self._hand_over(found, file)
            else:
                if isinstance(found, Left):
                    self._tell(found, file)
                await self._release(key, file)

    async def _hand_over(self, found: Found, file: File) -> None:
        key = found.key
        try:
            reason = await self._handed(found, file)
        except Changed:
            self._look_later(key, file, self._settle)
            return
        except (ServiceError, EngineError) as error:
            self._fail(key, file, error)
            return
        self._failing = False
        if reason is None:
            file.told, file.done = None, found.stamp
        else:
            self._tell(reason, file)
            file.done = None if reason.unreadable else found.stamp
        await self._release(key, file)

    async def _handed(self, found: Found, file: File) -> Left | None:
        """None once it is taken. Raises Changed, ServiceError, EngineError."""
        stamp, path = found.stamp, self._grounds.path(found.key)
        name = f"file:{found.key}:{stamp.size}:{stamp.mtime_ns}"
        if stamp.size == 0:
            return Left(found.key, "empty")
        if file.announced is None:
            if await self._known(name):
                return None
            digest = None
            if self._wanted(found.key, file_uri(str(path))):
                try:
                    content = await measured(path)
                except OSError as error:
                    return Left(found.key, words(error), unreadable=True)
                if content.stamp != stamp:
                    raise Changed
                digest = content.digest
            file.announced = recording(path, found.key, stamp.size, digest, self._clock())
        await self._take(file.announced, [name])
        return None

    async def _release(self, key: str, file: File) -> None:
        stirred = file.stirred
        file.waits = file.attended = file.stirred = False
        file.stamp, file.announced, file.failures = None, None, 0
        found = await to_thread.run_sync(self._grounds.look, key) if stirred else None
        if isinstance(found, Found | Left):
            self.notice(found, urgent=True)

    def _look_later(self, key: str, file: File, seconds: float) -> None:
        file.attended = file.stirred = False
        if seconds:
            file.timer = asyncio.get_running_loop().call_later(seconds, self._look_now, key, file)
        else:
            self._look_now(key, file)

    def _look_now(self, key: str, file: File) -> None:
        file.timer = None
        self._ready.put_nowait((not file.urgent, next(self._order), key))

    def _fail(self, key: str, file: File, error: ServiceError | EngineError) -> None:
        file.failures += 1
        seconds = pause(file.failures, error.retry_after if isinstance(error, Transient) else None)
        if not self._failing:
            self._failing = True
            reason = str(error) or type(error).__name__
            self._log.warning(DROPS_FAILED, key=printable(key), reason=reason, retry_in=seconds)
        self._look_later(key, file, seconds)

    def _tell(self, left: Left, file: File) -> None:
        if file.told == left.reason:
            return
        file.told = left.reason
        self._tally.count(DROPS, result="ignored")
        if left.unreadable:
            self._log.warning(DROP_UNREADABLE, key=printable(left.key), reason=left.reason)
        else:
            self._log.info(DROP_IGNORED, key=printable(left.key), reason=left.reason)
