"""Recordings that arrive in a folder."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import anyio
import structlog
import watchfiles
from anyio import to_thread

from service.adapters.drops.arrivals import Arrivals, Known, pause
from service.adapters.drops.grounds import Branch, Found, Grounds, Left, words
from service.domain.happened import DROPS_FAILED, DROPS_WATCHED
from service.domain.tally import Tally
from service.ports.places import Take

DEBOUNCE: Final = 200
"""Milliseconds over which changes are gathered at most."""

STEP: Final = 20
"""Milliseconds without a change after which what was gathered is told."""

HEARTBEAT: Final = 1000
"""Milliseconds after which the watcher reports even if nothing changed, so that a vanished folder is noticed."""

BATCH: Final = 200
"""Entries that one hop to a thread looks at."""


class Folder:
    """Hands over each file that comes to rest in the folder, those that were there before included (ports.Drops).

    A file is taken under the name `file:{key}:{size}:{mtime_ns}`; one that is `known` by it is not read again. One that
    no pipeline wants (`wanted` is asked with its key and URI) is handed over unread, without a digest. At rest is what
    kept its size and time of change for `settle` seconds. Every `rescan` seconds the whole folder is looked through,
    should the operating system have lost a notice. What is left alone is told once: hidden, temporary and empty files,
    names that are not UTF-8, links that lead out, pipes, sockets and devices (never opened), and what cannot be read,
    which is tried again at each change and rescan. A missing folder is made at the start; if it vanishes later, that
    is told once and it is waited for.
    """

    def __init__(
        self,
        folder: Path,
        *,
        known: Known,
        wanted: Callable[[str, str], bool],
        clock: Callable[[], float],
        tally: Tally,
        exclude: Sequence[Path] = (),
        settle: float = 2.0,
        rescan: float = 60.0,
        readers: int = 2,
    ) -> None:
        """`clock` gives epoch seconds; `readers` files are hashed at once. Raises Refused as Grounds does."""
        self._grounds = Grounds(folder, exclude)
        self._known = known
        self._wanted = wanted
        self._clock = clock
        self._tally = tally
        self._settle = settle
        self._rescan = rescan
        self._readers = readers
        self._log = structlog.get_logger()

    async def watch(self, take: Take) -> None:
        """Until cancelled; see ports.Drops."""
        arrivals = Arrivals(
            self._grounds,
            take,
            known=self._known,
            wanted=self._wanted,
            clock=self._clock,
            tally=self._tally,
            settle=self._settle,
        )
        scan = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_following(arrivals, scan))
                tasks.create_task(self._keep_scanning(arrivals, scan))
                for _ in range(self._readers):
                    tasks.create_task(arrivals.attend())
        finally:
            arrivals.close()

    async def _keep_scanning(self, arrivals: Arrivals, scan: asyncio.Event) -> None:
        while True:
            try:
                async with asyncio.timeout(self._rescan):
                    await scan.wait()
            except TimeoutError:
                pass
            scan.clear()
            arrivals.begin_scan()
            try:
                await self._walk("", arrivals, urgent=False)
            except OSError:
                # Who follows the folder tells that it cannot be listed; nothing is forgotten for that.
                continue
            arrivals.end_scan()

    async def _keep_following(self, arrivals: Arrivals, scan: asyncio.Event) -> None:
        made = False
        followed: tuple[int, int] | None = None
        told: str | None = None
        failures = 0
        while True:
            try:
                if not made:
                    await to_thread.run_sync(self._make)
                    made = True
                identity = await to_thread.run_sync(self._identity)
                if identity != followed:
                    self._log.info(DROPS_WATCHED, folder=str(self._grounds.root))
                    followed, told, failures = identity, None, 0
                scan.set()
                await self._follow(identity, arrivals, scan)
            except OSError as error:
                followed = None
                failures += 1
                reason = words(error)
            except RuntimeError as error:
                # A name that is not UTF-8 ends the watcher; the scan that follows tells of the file itself.
                reason = str(error)
            else:
                continue
            if reason != told:
                told = reason
                self._log.warning(DROPS_FAILED, folder=str(self._grounds.root), reason=reason)
            await asyncio.sleep(pause(max(failures, 1), None))

    async def _follow(self, identity: tuple[int, int], arrivals: Arrivals, scan: asyncio.Event) -> None:
        """Report what changes until the folder is gone or another one. Raises OSError, RuntimeError."""
        loop = asyncio.get_running_loop()
        changes: asyncio.Queue[frozenset[str] | None] = asyncio.Queue()
        stop = threading.Event()

        def report(paths: frozenset[str]) -> None:
            loop.call_soon_threadsafe(changes.put_nowait, paths)

        watcher = asyncio.ensure_future(to_thread.run_sync(self._listen, stop, report))
        watcher.add_done_callback(lambda _: changes.put_nowait(None))
        try:
            # What came between the scan and the first report may have gone unnoticed.
            unsure = True
            while (paths := await changes.get()) is not None:
                if unsure:
                    unsure = False
                    scan.set()
                if await to_thread.run_sync(self._identity) != identity:
                    return
                await self._notice(paths, arrivals)
            await watcher
        finally:
            stop.set()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([watcher])

    def _listen(self, stop: threading.Event, report: Callable[[frozenset[str]], None]) -> None:
        batches = watchfiles.watch(
            self._grounds.root,
            watch_filter=None,
            debounce=DEBOUNCE,
            step=STEP,
            stop_event=stop,
            rust_timeout=HEARTBEAT,
            yield_on_timeout=True,
            recursive=True,
            ignore_permission_denied=True,
        )
        for batch in batches:
            report(frozenset(path for _, path in batch))

    async def _notice(self, paths: Iterable[str], arrivals: Arrivals) -> None:
        keys = [key for path in paths if (key := self._grounds.key(path))]
        if not keys:
            return
        for found in await to_thread.run_sync(self._look, keys):
            if not isinstance(found, Branch):
                arrivals.notice(found, urgent=True)
                continue
            try:
                # A folder that was moved in brings files that nobody tells of.
                await self._walk(found.key, arrivals, urgent=True)
            except OSError as error:
                arrivals.notice(Left(found.key, words(error), unreadable=True), urgent=True)

    async def _walk(self, under: str, arrivals: Arrivals, *, urgent: bool) -> None:
        """Raises OSError when the folder `under` cannot be listed."""
        entries = self._grounds.walk(under)
        while batch := await to_thread.run_sync(lambda: list(islice(entries, BATCH))):
            for found in batch:
                arrivals.notice(found, urgent=urgent)

    def _look(self, keys: Iterable[str]) -> Sequence[Found | Left | Branch]:
        return [found for key in keys if (found := self._grounds.look(key)) is not None]

    def _make(self) -> None:
        self._grounds.root.mkdir(parents=True, exist_ok=True)

    def _identity(self) -> tuple[int, int]:
        """Another folder may come to stand in its place: a volume is mounted, the old one renamed."""
        info = self._grounds.root.stat()
        return info.st_dev, info.st_ino
