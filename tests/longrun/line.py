"""Thousands of jobs wait for one model's allowance: how long they take, and what their waiting writes.

    python -m tests.longrun.line --jobs 2000 --prompts 4

The engine, the rules, the SQLite store (in memory), the budget, the queue and the analysis are the service's own; time
is made up, so that hours pass in seconds. On the other side are the stand-in's rate windows. Printed are the store's
writes for each job and its mean finish against that of the best possible order; exits 1 if a bound is broken.
"""

import argparse
import asyncio
import logging
import selectors
import sqlite3
import sys
import tempfile
from asyncio import Semaphore
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import structlog

from service.adapters.budget.fleet import FleetBudget
from service.adapters.jobs.sqlite_beside import SqliteGates, SqlitePins
from service.adapters.jobs.sqlite_books import SqliteBooks
from service.adapters.jobs.sqlite_queues import SqliteBudgets, SqliteQueues
from service.adapters.jobs.sqlite_schema import create
from service.adapters.jobs.sqlite_table import SqliteTable
from service.domain.asking.completion import Completion, Finish, Usage
from service.domain.errors import Throttled
from service.domain.job import STEPS, Job, JobId, Kind, Recording, Status, TranscriptFacts, TranscriptId
from service.domain.models.allowance import Terms as Allowances
from service.domain.models.allowance import Window
from service.domain.pipeline import Pipelines
from service.domain.pipelines.file import load
from service.domain.places import FOLDER
from service.domain.retry import Retry
from service.domain.tally import NoTally
from service.engine.row import Lane, Row, RowId, Save, Token
from service.engine.workers import Workers
from service.ports.ports import Ports
from service.simulator.rates import Windows
from service.stages.asking.dispatch import Dispatch
from service.stages.asking.purse import Grants
from service.stages.asking.refusals import Refusals
from service.stages.completions import Completions
from service.stages.context import Context, Terms
from service.stages.holdback import Holdback
from service.stages.polls import Polls
from service.stages.room import Room
from service.stages.spending import Spending
from service.stages.step import step

T = TypeVar("T")

BEGAN = 1_800_000_000.0
MODEL = "claude-sonnet-4-6"
LIMIT = 30
WINDOW = 60.0
ANSWER = 4.0
"""Seconds that an answer takes."""
LEASE = 30.0
WRITES_AT_MOST = 10.0
FROM_BEST_AT_MOST = 1.05


class Leaping(selectors.DefaultSelector):
    """Where everybody waits, time leaps to when the first of them need not."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None:
            self.now += max(0.0, timeout)
        return super().select(timeout and 0)


class MadeUpTime(asyncio.SelectorEventLoop):
    """An event loop whose clock only goes on while nothing is to be done."""

    def __init__(self) -> None:
        self._leaping = Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now


class AtOnce:
    """The store's writer and reader without threads, for there is nobody else."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        create(self.connection, "memory")

    async def write(self, act: Callable[[sqlite3.Connection], T]) -> T:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            found = act(self.connection)
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        return found

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        return query(self.connection)


@dataclass
class Writes:
    """Rows written, by what for. `entries` are DynamoDB's beside a row that waits."""

    analysis: Counter[str] = field(default_factory=Counter)
    publishing: Counter[str] = field(default_factory=Counter)
    entries: int = 0


class CountedTable(SqliteTable):
    """Counts what is written, for each row by itself as DynamoDB would."""

    def __init__(self, writes: Writes, store: AtOnce, clock: Callable[[], float]) -> None:
        super().__init__(cast("Any", store), steps=STEPS, lease=LEASE, clock=clock, random=Random(7))
        self.writes = writes
        self.decided: set[RowId] = set()
        self.finished: dict[RowId, float] = {}
        self._now = clock

    async def claim(
        self, limit: int, *, only: Sequence[RowId] | None = None, queue: str | None = None
    ) -> Sequence[Row]:
        rows = await super().claim(limit, only=only, queue=queue)
        self.writes.analysis["claims"] += len(rows)
        self.writes.entries += len(rows) if queue is not None else 0
        return rows

    async def renew(self, row_id: RowId, token: Token, *, progress: bool = False) -> Row:
        (self.writes.publishing if row_id in self.decided else self.writes.analysis)["renewals"] += 1
        return await super().renew(row_id, token, progress=progress)

    async def save(self, row_id: RowId, token: Token, save: Save) -> Row:
        (self.writes.publishing if row_id in self.decided else self.writes.analysis)["saves"] += 1
        self.writes.entries += save.queue is not None
        if save.status == Status.DECIDED and row_id not in self.decided:
            self.decided.add(row_id)
            self.finished[row_id] = self._now() - BEGAN
        return await super().save(row_id, token, save)


class CountedBudgets(SqliteBudgets):
    """Counts the windows that are written."""

    def __init__(self, writes: Writes, store: AtOnce) -> None:
        super().__init__(cast("Any", store), cast("Any", store))
        self._writes = writes

    async def change(self, model: str, decide: Callable[[Window], Window]) -> Window:
        def counting(window: Window) -> Window:
            after = decide(window)
            self._writes.analysis["windows"] += after is not window
            return after

        return await super().change(model, counting)


class Documents:
    """Results in memory."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}

    async def put_new(self, key: str, body: bytes, _: str) -> bool:
        return self.stored.setdefault(key, body) is body

    async def get(self, key: str) -> bytes | None:
        return self.stored.get(key)

    async def has(self, key: str) -> bool:
        return key in self.stored

    def uri(self, key: str) -> str:
        return f"file:///{key}"


class Model:
    """A language model behind the stand-in's rate windows; `refused` counts what came too early."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.windows = Windows(LIMIT, WINDOW, clock)
        self.asked = self.refused = 0
        self.observe: Callable[[str, Mapping[str, str], float], None]

    async def ask(self, request: Mapping[str, object], *, within: float) -> Completion:
        model = str(request["model"])
        await asyncio.sleep(0.05)
        self.asked += 1
        found = self.windows.count(model)
        told = {name.lower(): value for name, value in found.headers(model, "llmgw").items()}
        if found.exceeded:
            self.refused += 1
            self.observe(model, told, 0.05)
            raise Throttled("too many requests for this action", retry_after=float(found.reset_seconds))
        await asyncio.sleep(ANSWER)
        self.observe(model, told, ANSWER + 0.05)
        return Completion(
            content="Yes.", finish=Finish.STOP, finish_reason="stop", model=model, usage=Usage(), request_id=None
        )


class Events:
    async def publish(self, body: bytes, attributes: object, group: str, event_id: str) -> None:
        pass


@dataclass(frozen=True, kw_only=True)
class Found:
    """What it came to. Times in seconds since the first job was there."""

    jobs: int
    finished: Mapping[RowId, float]
    mean: float
    best: float
    asked: int
    refused: int
    writes: Writes

    @property
    def each(self) -> float:
        """Writes of one job's analysis, on DynamoDB."""
        return (sum(self.writes.analysis.values()) + self.writes.entries) / self.jobs

    @property
    def publishing(self) -> float:
        return sum(self.writes.publishing.values()) / self.jobs

    @property
    def from_best(self) -> float:
        return self.mean / self.best


def pipelines(folder: Path, prompts: int) -> Pipelines:
    names = (f'[[pipelines.prompts]]\nname = "p{n}"\nprompt = "{n}: {{{{ transcript }}}}"\n' for n in range(prompts))
    path = folder / "pipelines.toml"
    path.write_text(f'[defaults]\nmodel = "{MODEL}"\n[[pipelines]]\nname = "calls"\nmatch = ["**"]\n' + "".join(names))
    return load(path).pipelines


def row(number: int, lane: Lane = Lane.BACKFILL, created_at: float | None = None) -> Row:
    """A job whose transcript is there."""
    name, at = f"job_{number:05}", BEGAN - 3_600 + number / 100 if created_at is None else created_at
    recording = Recording(
        kind=Kind.TRANSCRIPT, uri=f"x:{name}", key=name, name=name, location=name, dropped_at="2026-01-31T10:00:00Z"
    )
    facts = TranscriptFacts(id=TranscriptId(f"tr_{number}"), ours=False, kept=True)
    job = Job(id=JobId(name), recording=recording, pipeline="calls", transcript=facts)
    return Row(
        id=RowId(name),
        status=Status.TRANSCRIBED,
        lane=lane,
        facts=job.model_dump(mode="json", exclude_defaults=True),
        created_at=at,
        updated_at=at,
        due_at=BEGAN,
    )


async def played(
    folder: Path, jobs: int, prompts: int, later: Mapping[float, Row] | None = None, *, concurrency: int = 64
) -> Found:
    """All jobs are there at once, of `later` each some seconds later; until the last is decided."""
    loop = asyncio.get_running_loop()
    store, writes = AtOnce(), Writes()
    clock = lambda: BEGAN + loop.time()  # noqa: E731
    table, model = CountedTable(writes, store, clock), Model(clock)
    queues = SqliteQueues(cast("Any", store), steps=STEPS, clock=clock)
    budget = FleetBudget(CountedBudgets(writes, store), queues, terms=Allowances(), clock=clock)
    model.observe = budget.observe
    pins = SqlitePins(cast("Any", store), cast("Any", store), clock)
    gates = SqliteGates(cast("Any", store), cast("Any", store), clock)
    at_hand = {
        "table": table,
        "pins": pins,
        "gates": gates,
        "books": SqliteBooks(cast("Any", store), cast("Any", store), clock),
        "language_model": model,
        "catalogue": SimpleNamespace(models=None),
        "budget": budget,
        "results": Documents(),
        "events": Events(),
    }
    # What is not at hand is asked for nothing.
    ports = Ports(**{**{each.name: None for each in fields(Ports)}, **at_hand})
    context = Context(
        ports=ports,
        terms=terms(),
        pipelines=pipelines(folder, prompts),
        polls=Polls(loop.time),
        holdback=Holdback(loop.time),
        room=Room(loop.time),
        spending=Spending(loop.time),
        completions=Completions(),
        refusals=Refusals(loop.time),
        grants=Grants(),
        tally=NoTally(),
        clock=clock,
        random=Random(7),
        documents=Semaphore(8),
    )
    dispatch = Dispatch(context)
    workers = Workers(
        table,
        lambda hold: step(hold, context),
        concurrency=concurrency,
        lease=LEASE,
        clock=clock,
        monotonic=loop.time,
        random=Random(7),
        queued=dispatch.queued,
    )
    for number in range(jobs):
        await table.add(row(number))
    at_work = [asyncio.ensure_future(each) for each in (workers.serve(), dispatch.serve(workers))]
    for seconds, each in sorted((later or {}).items()):
        await asyncio.sleep(seconds - loop.time())
        await table.add(each)
    every = jobs + len(later or {})
    while len(table.finished) < every:
        await asyncio.sleep(1.0)
    await workers.stop(30)
    for task in at_work:
        task.cancel()
    await asyncio.gather(*at_work, return_exceptions=True)
    finishes = [table.finished[row(number).id] for number in range(jobs)]
    return Found(
        jobs=every,
        finished=table.finished,
        mean=sum(finishes) / jobs,
        best=sum((prompts * (n + 1) - 1) // LIMIT * WINDOW + ANSWER for n in range(jobs)) / jobs,
        asked=model.asked,
        refused=model.refused,
        writes=writes,
    )


def terms() -> Terms:
    return Terms(
        name="afterword",
        public_url=None,
        secret=None,
        audio="presign",
        reconcile_after=600,
        adopt_within=180,
        retry=Retry(),
        limits=FOLDER,
    )


def play(jobs: int, prompts: int, later: Mapping[float, Row] | None = None) -> Found:
    """`played`, in made-up time."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=MadeUpTime) as runner:
        return runner.run(played(Path(folder), jobs, prompts, later))


def main() -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2_000)
    parser.add_argument("--prompts", type=int, default=4)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    found = play(asked.jobs, asked.prompts)
    told = ", ".join(f"{count} {what}" for what, count in sorted(found.writes.analysis.items()))
    print(f"{found.jobs} jobs with {asked.prompts} prompts against {LIMIT} a minute: {found.asked} requests")
    print(f"{found.refused} refused; the last finished after {max(found.finished.values()) / 60:.0f} minutes")
    print(f"writes of the analysis: {found.each:.2f} a job ({told}, {found.writes.entries} entries of DynamoDB's)")
    print(f"and {found.publishing:.2f} a job for publishing")
    print(f"mean finish: {found.mean / 60:.1f} minutes, of the best order {found.best / 60:.1f}: {found.from_best:.4f}")
    good = found.each <= WRITES_AT_MOST and found.from_best <= FROM_BEST_AT_MOST and not found.refused
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
