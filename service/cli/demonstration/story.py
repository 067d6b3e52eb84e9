"""How the demonstration goes: what is dropped, broken and mended on the way, and what the viewer is told of it."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import httpx2

from service.cli.demonstration.processes import Process
from service.cli.demonstration.vendor import StandIn, Troubles
from service.cli.demonstration.watching import TRANSCRIBED, Course, Line, Log, advanced
from service.cli.progress import Progress
from service.domain import happened

TICK: Final = 0.05
LEDGER_EVERY: Final = 0.3
DEAD_AT_MOST: Final = 10.0
"""Seconds that the service stays dead while the vendor's callback is waited for."""
DEAD_AT_LEAST: Final = 1.0


class Stuck(Exception):
    """It does not go on; the text says what was waited for."""


class Stopped(Exception):
    """Somebody asked the demonstration to end, by this signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Stop:
    """Set by SIGINT, SIGTERM or SIGHUP, looked at between two steps: so no process is ever started and forgotten."""

    def __init__(self) -> None:
        self.number = 0

    @contextmanager
    def heeded(self) -> Iterator[None]:
        before = {each: signal.signal(each, self._set) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def raise_if_set(self) -> None:
        if self.number:
            raise Stopped(self.number)

    def _set(self, number: int, _: object) -> None:
        self.number = number


class Watch:
    """Follows the service by its log, shows how the recordings come on, and is patient for so long and no longer."""

    def __init__(self, *, log: Log, stop: Stop, within: float) -> None:
        self.courses: dict[str, Course] = {}
        self.starts = 0
        self.log = log
        self.progress: Progress | None = None
        self._stop = stop
        self._began = time.monotonic()
        self._ends = self._began + within
        self.remarks: list[Callable[[Course, Course, Line], str | None]] = []
        self.glances: list[Callable[[], str | None]] = []
        self._glanced = 0.0

    def follow(self, course: Course) -> None:
        """Show this one, too."""
        self.courses[course.job_id] = course

    def until(self, true: Callable[[], bool], waiting_for: str, alive: Sequence[Process]) -> None:
        """Return as soon as it is true. Raises Stopped, Stuck when it takes too long or a process ends by itself."""
        while True:
            self._stop.raise_if_set()
            self.look()
            if true():
                return
            for process in alive:
                code = process.ended()
                if code is not None:
                    self._stop.raise_if_set()
                    raise Stuck(f"{process.name} ended by itself (exit code {code}) while waiting for {waiting_for}")
            if time.monotonic() > self._ends:
                raise Stuck(f"gave up after {self._ends - self._began:.0f} s waiting for {waiting_for}{self._where()}")
            time.sleep(TICK)

    def without_end(self, alive: Sequence[Process]) -> None:
        """Watch until somebody stops it. Raises Stopped, Stuck when a process ends by itself."""
        self._ends = float("inf")
        self.courses.clear()
        self.until(lambda: False, "recordings", alive)

    def all_ended(self) -> bool:
        return all(course.ended for course in self.courses.values())

    def look(self) -> None:
        """Read what is new in the log, and show it. Raises Stuck when the account is refused."""
        for line in self.log.fresh():
            self.starts += line.get("event") == happened.SERVICE_STARTED
            if line.get("event") == happened.ACCOUNT_PARKED:
                raise Stuck(f"AssemblyAI refuses the account: {line.get('reason')}")
            self._heard(line)
        if time.monotonic() - self._glanced > LEDGER_EVERY:
            for glance in self.glances:
                self.say(glance())
            self._glanced = time.monotonic()
        self._show()

    def _show(self) -> None:
        if self.progress:
            self.progress.show([course.standing() for course in self.courses.values()])

    def say(self, words: str | None) -> None:
        """A line that stays, with the seconds since the beginning."""
        if words and self.progress:
            self.progress.say(f"{time.monotonic() - self._began:5.1f} s  {words}")

    def _heard(self, line: Line) -> None:
        job = str(line.get("job_id"))
        if line.get("event") == happened.DROP_RECEIVED and job not in self.courses:
            self.courses[job] = Course(job_id=job, key=str(line.get("key")))
        before = self.courses.get(job)
        if before is None:
            return
        after = self.courses[job] = advanced(before, line)
        # Line by line, so that a stage that was quickly over is seen too.
        self._show()
        for remark in self.remarks:
            self.say(remark(before, after, line))

    def _where(self) -> str:
        at = [f"{course.key} is {course.standing().doing}" for course in self.courses.values() if not course.ended]
        return f" ({', '.join(at)})" if at else ""


class Story:
    """Three recordings, and all that can happen to them on one day."""

    def __init__(
        self,
        *,
        service: Process,
        standin: Process,
        vendor: StandIn,
        troubles: Troubles,
        watch: Watch,
    ) -> None:
        self._service = service
        self._standin = standin
        self._vendor = vendor
        self._troubles = troubles
        self._watch = watch
        self._told: set[str] = set()
        watch.remarks.append(self._remark)

    def tell(self) -> None:
        """Play it to the end, once the recordings are dropped. Raises Stopped, Stuck, httpx2.HTTPError."""
        watch, both = self._watch, (self._service, self._standin)
        watch.glances.append(self._glance)
        watch.until(self._first_is_through, "the first recording and its callbacks", both)
        while not self._killed_at_rest():
            watch.until(self._at_rest, "a moment in which nothing is being asked", both)
        self._dead()
        before = watch.starts
        self._service.start()
        watch.say(f"RESTARTED as process {self._service.pid}: it goes on from its job store")
        watch.until(lambda: watch.starts > before, "the service to start again", both)
        watch.until(watch.all_ended, "the last event", both)
        watch.until(self._settled, "the last callback to be delivered", both)

    def _first_is_through(self) -> bool:
        first = self._watch.courses[self._troubles.duplicated.job_id]
        return first.ended and first.heard > 1 and first.refused > 0 and self._at_rest()

    def _at_rest(self) -> bool:
        return all(each.ended or each.at_vendor for each in self._watch.courses.values())

    def _killed_at_rest(self) -> bool:
        """Kill it, unless something began meanwhile: what is being asked at that moment would be paid again."""
        self._service.freeze()
        self._watch.look()
        if not self._at_rest():
            self._service.thaw()
            return False
        self._service.kill()
        courses = self._watch.courses.values()
        through = sum(each.ended for each in courses)
        self._watch.say(
            f"KILLED the service (SIGKILL, process {self._service.pid}): {through} of {len(courses)} published, "
            f"{len(courses) - through} at the vendor"
        )
        return True

    def _dead(self) -> None:
        """Nobody is there for a while, so that the vendor calls in vain."""
        died, missed = time.monotonic(), self._troubles.missed
        waits = missed is not None and self._watch.courses[missed.job_id].at_vendor

        def over() -> bool:
            for_so_long = time.monotonic() - died
            called = not waits or "missed" in self._told
            return for_so_long > DEAD_AT_MOST or (called and for_so_long > DEAD_AT_LEAST)

        self._watch.until(over, "the vendor's callback", [self._standin])

    def _settled(self) -> bool:
        ledger = self._vendor.ledger()
        return ledger.of(self._troubles.duplicated) in ledger.duplicated

    def _remark(self, before: Course, after: Course, line: Line) -> str | None:
        troubles = self._troubles
        if line.get("event") == happened.CALLBACK_REFUSED:
            return f"FORGED callback for {after.key}, without the secret: refused with 401, nothing happened"
        if after.heard > before.heard and after.job_id == troubles.duplicated.job_id and after.heard > 1:
            return f"DUPLICATED callback for {after.key}: answered 204 like the first, nothing is done twice"
        if after.heard > before.heard and troubles.missed and after.job_id == troubles.missed.job_id:
            return f"the vendor called again about {after.key}: heard" if "missed" in self._told else None
        swept = after.stage > before.stage and after.stage == TRANSCRIBED and not after.heard
        if swept and troubles.lost and after.job_id == troubles.lost.job_id:
            return f"RECOVERED {after.key}: no callback came, so the service asked by itself; it only cost time"
        return None

    def _glance(self) -> str | None:
        """What only the stand-in can know."""
        try:
            ledger = self._vendor.ledger()
        except httpx2.HTTPError:
            return None
        lost, missed = self._troubles.lost, self._troubles.missed
        if lost and "lost" not in self._told and ledger.of(lost) in ledger.lost:
            self._told.add("lost")
            return f"LOST callback for {lost.key}: it is transcribed, and the service will never be told"
        if missed and "missed" not in self._told and ledger.of(missed) in ledger.unanswered:
            self._told.add("missed")
            return f"the vendor called back about {missed.key} and nobody answered; it will call again"
        return None
