"""A machine that drives the rules in any order against its own statement of what they owe.

It knows nothing of how a row is kept: it remembers who claimed and until when, what the outside said and who looked,
what was decided and what was told, and compares. Whatever rules (and whatever way of telling a verdict) it is given,
it plays the same moves, so that a planted bug must show.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.engine import rules as the_rules
from service.engine.errors import IllegalStep, LeaseLost
from service.engine.row import Callback, Heard, Lane, Row, RowId, Save

Rules = ModuleType | SimpleNamespace

LEASE = 30.0
STEPS = the_rules.Steps(
    following={
        "waiting": {"waiting", "working", "decided"},
        "working": {"working", "waiting", "decided"},
        "decided": {"decided", "ended"},
        "ended": set(),
    },
    listening={"waiting"},
    reopening={"ended": {"waiting", "working"}},
)
ROW = RowId("row")
QUEUE = "queue"


def profile(examples: int, steps: int, *, shrink: bool = True) -> settings:
    """Bounded and the same each time; with AFTERWORD_LONG=1 a hundred times as many examples, never the same."""
    long = os.environ.get("AFTERWORD_LONG") == "1"
    return settings(
        max_examples=examples * 100 if long else examples,
        stateful_step_count=steps,
        derandomize=not long,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )


class MemoryTable:
    """The smallest table there is: one row and the rules."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.row: Row | None = None

    def add(self, now: float) -> None:
        self.row = Row(id=ROW, status="waiting", created_at=now, updated_at=now, due_at=now)

    def claim(self, now: float) -> Row | None:
        if self.row is None or not self.rules.claimable(self.row, now):
            return None
        self.row = self.rules.claimed(self.row, now, LEASE)
        return self.row

    def call_up(self, now: float) -> Row | None:
        if self.row is None or not self.rules.callable_from(self.row, QUEUE, now):
            return None
        self.row = self.rules.called_up(self.row, now, LEASE)
        return self.row

    def renew(self, held: Row, now: float, *, progress: bool) -> Row:
        self.row = self.rules.renewed(self._there(), held.token, now, LEASE, progress=progress)
        return self.row

    def save(self, held: Row, save: Save, now: float) -> Row:
        self.row = self.rules.saved(self._there(), held.token, save, now, STEPS)
        return self.row

    def call_back(self, subject: str | None, now: float) -> Heard:
        self.row, heard = self.rules.called_back(self._there(), Callback(row_id=ROW, subject=subject), now, STEPS)
        return heard

    def reopen(self, status: str, now: float) -> None:
        self.row = self.rules.reopened(self._there(), status, {}, Lane.FRESH, now, STEPS)

    def withdraw(self, held: Row) -> None:
        self.rules.held(self.row, held.token)
        self.row = None

    def _there(self) -> Row:
        if self.row is None:
            raise LeaseLost
        return self.row


@dataclass
class Worker:
    """Somebody who claimed once. It may act at any time after, long after it has lost the row too."""

    row: Row
    looked_at: int = -1
    """The moment of its last look at the outside; -1: it has not looked."""
    heard: int = 0
    """The callbacks that it knew of before that look."""


@dataclass
class Said:
    """A callback: at which moment it came, and about which subject."""

    moment: int
    subject: str | None


@dataclass
class Expected:
    """What the machine believes, in its own terms."""

    holder: Worker | None = None
    held_until: float = 0.0
    free_since: float | None = None
    """When the last lease ended that brought no progress; None: there was progress since."""
    fruitless: int = 0
    status: str = "waiting"
    ended: bool = False
    waits: bool = False
    """In the queue, by the last save."""
    subject: str | None = None
    unlooked: list[Said] = field(default_factory=list)
    told: set[object] = field(default_factory=set)


class RulesMachine(RuleBasedStateMachine):
    """Over the rules as they are."""

    law: ClassVar[Rules] = the_rules
    tells_first: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.now = self.latest = 1_000.0
        self.moment = 0
        self.table = MemoryTable(self.law)
        self.table.add(self.now)
        self.expected = Expected()
        self.workers: list[Worker] = []
        self.last_ended: Row | None = None

    # The world goes on.

    @rule(seconds=st.sampled_from([0.1, 3.0, 29.0, 31.0, 31.0, 400.0, -2.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.latest = max(self.latest, self.now)

    @rule(subject=st.sampled_from([None, "a", "b"]))
    def the_outside_calls_back(self, subject: str | None) -> None:
        self.moment += 1
        if self.table.row is None:
            return
        heard = self.table.call_back(subject, self.now)
        if self.expected.ended:
            assert heard is Heard.ENDED
            return
        other = self.expected.subject not in {None, subject} and subject is not None
        assert (heard is Heard.OTHER_SUBJECT) == other
        self.expected.unlooked.append(Said(self.moment, subject))

    # Workers claim, look, save, renew, crash (by never acting again) and come back as zombies.

    @precondition(lambda self: not self.expected.ended)
    @rule(after=st.sampled_from([31.0, 400.0]))
    def somebody_claims_later(self, after: float) -> None:
        self.time_passes(after)
        self.somebody_claims()

    @rule()
    def somebody_claims(self) -> None:
        row = self.table.claim(self.now)
        if row is not None:
            self._claimed(row)

    @precondition(lambda self: self.expected.waits)
    @rule()
    def somebody_calls_up(self) -> None:
        held, expected = self._is_held(), self.expected
        row = self.table.call_up(self.now)
        if row is None:
            rests = expected.fruitless > 0 and self.now < (expected.free_since or 0.0) + the_rules.pause(10)
            assert held or rests, "who waits in a queue cannot be called up"
            return
        assert row.queue is None, "who was called up waits still"
        expected.waits = False
        self._claimed(row)

    def _claimed(self, row: Row) -> None:
        expected = self.expected
        assert not expected.ended, "an ended row was claimed"
        assert expected.holder is None or self.now >= expected.held_until, "two hold the row"
        if expected.fruitless >= 2 and expected.free_since is not None:
            assert self.now >= expected.free_since + 5, "no rest after fruitless claims"
        expected.fruitless += 1
        assert row.claims == expected.fruitless, "claims without progress are miscounted"
        assert (row.claims >= the_rules.CLAIMS_AT_MOST) == (expected.fruitless >= 10), "the tenth does not say so"
        worker = Worker(row)
        self.workers.append(worker)
        self._held(worker)

    def _held(self, worker: Worker) -> None:
        self.expected.holder = worker
        self.expected.held_until = self.expected.free_since = self.now + LEASE

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def a_worker_looks(self, data: st.DataObject) -> None:
        self.moment += 1
        worker = self._one(data)
        worker.looked_at, worker.heard = self.moment, worker.row.callbacks

    @precondition(lambda self: self.workers)
    @rule(
        data=st.data(),
        to=st.sampled_from(["waiting", "waiting", "working"]),
        later=st.sampled_from([0.0, 5.0, 600.0]),
        keep=st.booleans(),
        progress=st.booleans(),
        waits=st.sampled_from([False, False, True]),
    )
    def a_worker_saves(
        self, data: st.DataObject, to: str, later: float, keep: bool, progress: bool, waits: bool
    ) -> None:
        line = {"queue": QUEUE, "wants": 2} if waits else {}
        save = Save(status=to, facts={}, due_at=self.now + later, keep_lease=keep, progress=progress, **line)
        self._save(self._one(data), save)

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), subject=st.sampled_from(["a", "b"]))
    def a_worker_begins_anew(self, data: st.DataObject, subject: str) -> None:
        self._save(self._one(data), Save(status="waiting", facts={}, due_at=self.now + 20, subject=subject))

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), progress=st.booleans())
    def a_worker_renews(self, data: st.DataObject, progress: bool) -> None:
        worker = self._one(data)
        if self._allowed(worker, lambda: self.table.renew(worker.row, self.now, progress=progress)):
            self._held(worker)
            if progress:
                self.expected.fruitless = 0

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), verdict=st.integers(0, 9), crashes=st.sampled_from([True, True, True, False]))
    def a_worker_decides(self, data: st.DataObject, verdict: int, crashes: bool) -> None:
        worker = self._one(data)
        if self._status(worker) not in {"waiting", "working"}:
            return
        if self.tells_first:
            self.expected.told.add(verdict)
        if not crashes:
            save = Save(status="decided", facts={"verdict": verdict}, due_at=self.now, keep_lease=True)
            self._save(worker, save)

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), ends=st.booleans())
    def a_worker_tells(self, data: st.DataObject, ends: bool) -> None:
        worker = self._one(data)
        if self._status(worker) != "decided":
            return
        self.expected.told.add(worker.row.facts["verdict"])
        if ends:
            self._save(worker, Save(status="ended", facts=worker.row.facts, due_at=None))

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), meant=st.sampled_from([False, False, False, True]))
    def a_worker_withdraws(self, data: st.DataObject, meant: bool) -> None:
        worker = self._one(data)
        if meant and self._allowed(worker, lambda: self.table.withdraw(worker.row)):
            self.expected = Expected(ended=True)
            self.last_ended = None

    @precondition(lambda self: self.table.row is not None and self.expected.ended)
    @rule(status=st.sampled_from(["waiting", "waiting", "working", "decided"]))
    def a_person_reopens(self, status: str) -> None:
        may = self.expected.ended and status != "decided"
        try:
            self.table.reopen(status, self.now)
        except IllegalStep:
            assert not may
            return
        assert may, "reopened though it had not ended, or where no run begins"
        self.expected = Expected(status=status, subject=self.expected.subject)
        self.last_ended = None

    @precondition(lambda self: self.table.row is None)
    @rule()
    def it_is_dropped_again(self) -> None:
        self.table.add(self.now)
        self.workers = []
        self.expected = Expected()

    # What holds always.

    @invariant()
    def what_was_told_is_one_verdict(self) -> None:
        assert len(self.expected.told) <= 1, "two verdicts were told"

    @invariant()
    def what_was_said_is_looked_into(self) -> None:
        row, expected = self.table.row, self.expected
        if row is None or expected.ended or expected.status != "waiting" or self._is_held():
            return
        about_us = [s for s in expected.unlooked if expected.subject is None or s.subject in {None, row.subject}]
        if about_us:
            assert row.due_at is not None
            assert row.due_at <= self.latest, "a callback was lost"

    @invariant()
    def what_has_not_ended_comes_due(self) -> None:
        row = self.table.row
        if row is None:
            return
        assert (row.due_at is None) == self.expected.ended
        if row.due_at is not None:
            assert self.law.claimable(row, self.latest + 1_000.0), "nobody will ever look at it again"

    @invariant()
    def what_has_ended_stays_as_it_is(self) -> None:
        row = self.table.row
        if row is not None and self.expected.ended:
            assert self.last_ended is None or row == self.last_ended, "an ended row changed"
            self.last_ended = row

    # How the moves above are judged.

    def _one(self, data: st.DataObject) -> Worker:
        return self.workers[-min(data.draw(st.sampled_from([1, 1, 1, 2, 3])), len(self.workers))]

    def _is_held(self) -> bool:
        return self.expected.holder is not None and self.now < self.expected.held_until

    def _status(self, worker: Worker) -> str:
        return worker.row.status

    def _save(self, worker: Worker, save: Save) -> None:
        if save.status not in STEPS.following[self._status(worker)]:
            return
        looked = worker.looked_at
        save = replace(save, heard=worker.heard if looked >= 0 else 0)
        if not self._allowed(worker, lambda: self.table.save(worker.row, save, self.now)):
            return
        expected = self.expected
        expected.status, expected.ended = save.status, save.due_at is None
        expected.waits = save.queue is not None
        expected.subject = save.subject or expected.subject
        expected.unlooked = [said for said in expected.unlooked if said.moment > looked]
        worker.looked_at = -1
        if save.progress:
            expected.fruitless = 0
        if not save.keep_lease or expected.ended:
            expected.holder, expected.free_since = None, self.now

    def _allowed(self, worker: Worker, act: Callable[[], Row | None]) -> bool:
        """Do it; only the holder may, and the holder always may."""
        may = self.table.row is not None and not self.expected.ended and worker is self.expected.holder
        try:
            row = act()
        except (LeaseLost, IllegalStep):
            assert not may, "the holder was refused"
            return False
        assert may, "somebody wrote who does not hold the row"
        worker.row = row or worker.row
        return True


def machine(rules: Rules = the_rules, *, tells_first: bool = False) -> type[RulesMachine]:
    """The machine over these rules; `tells_first` plants a worker that tells its verdict before it saves it."""
    return type("Planted", (RulesMachine,), {"law": rules, "tells_first": tells_first})
