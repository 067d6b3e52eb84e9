"""Workers over a real file: who works on what, for how long, and what is left when they stop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from time import monotonic

import pytest
from structlog.testing import capture_logs

from service.adapters.jobs.sqlite import SqliteStore, open_store
from service.domain import happened
from service.engine import outage, rules, stint
from service.engine.errors import LeaseLost, StoreTrouble
from service.engine.hold import Hold
from service.engine.row import Callback, Row, RowId, Save, Token
from service.engine.workers import Workers

pytestmark = pytest.mark.anyio

LEASE = 30.0
NOW = 1_000.0
STEPS = rules.Steps(
    following={"new": {"new", "looked"}, "looked": {"looked", "done"}, "done": set()},
    listening={"new"},
    reopening={},
)


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """A file, a clock that stands, and workers that never poll by themselves within a test."""

    path: Path
    stack: AsyncExitStack
    clock: Clock = field(default_factory=Clock)

    async def store(self, lease: float = LEASE) -> SqliteStore:
        opening = open_store(self.path, steps=STEPS, lease=lease, clock=self.clock, random=Random(3))
        return await self.stack.enter_async_context(opening)

    @asynccontextmanager
    async def working(
        self,
        store: SqliteStore,
        run: Callable[[Hold], Awaitable[Save]],
        *,
        concurrency: int = 4,
        lease: float = LEASE,
        poll: float = 60.0,
    ) -> AsyncIterator[Workers]:
        workers = Workers(
            store.table,
            run,
            concurrency=concurrency,
            lease=lease,
            clock=self.clock,
            monotonic=monotonic,
            random=Random(5),
            poll=poll,
        )
        serving = asyncio.ensure_future(workers.serve())
        try:
            yield workers
        finally:
            await workers.stop(0.1)
            await asyncio.wait_for(serving, 5)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        yield Bench(tmp_path / "jobs.db", stack)


def row(name: str = "job", **fields: object) -> Row:
    standing = Row(id=RowId(name), status="new", facts={"n": 0}, created_at=NOW, updated_at=NOW, due_at=NOW)
    return replace(standing, **fields)


def done(facts: object = None) -> Save:
    return Save(status="done", facts={"by": facts}, due_at=None)


def later(status: str = "new", after: float = 600.0, **fields: object) -> Save:
    return replace(Save(status=status, facts={"n": 1}, due_at=NOW + after), **fields)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what must come; the test's own timeout is the bound."""
    async with asyncio.timeout(20):
        while not await true():
            await asyncio.sleep(0.005)


async def standing(store: SqliteStore, name: str = "job") -> Row:
    found = await store.jobs.get(RowId(name))
    assert found is not None
    return found


def ended(store: SqliteStore, *names: str) -> Callable[[], Awaitable[bool]]:
    async def true() -> bool:
        return all([(await standing(store, name)).ended for name in names])

    return true


def released(store: SqliteStore, name: str = "job") -> Callable[[], Awaitable[bool]]:
    async def true() -> bool:
        found = await standing(store, name)
        return found.token > 0 and not found.lease_until

    return true


async def straight(hold: Hold) -> Save:
    """new, looked, done, at once."""
    return later("looked", after=0.0) if hold.row.status == "new" else done(hold.row.token)


def test_the_engine_and_the_log_of_the_product_use_the_same_names() -> None:
    assert (stint.JOB_CRASHED, stint.JOB_LEASE_LOST) == (happened.JOB_CRASHED, happened.JOB_LEASE_LOST)
    assert stint.JOB_HANDED_BACK == happened.JOB_HANDED_BACK
    assert (outage.STORE_FAILED, outage.STORE_RECOVERED) == (happened.STORE_FAILED, happened.STORE_RECOVERED)


class TestWork:
    async def test_what_is_due_at_the_start_is_worked_on(self, bench: Bench) -> None:
        store = await bench.store()
        names = [f"job{number}" for number in range(9)]
        for name in names:
            await store.table.add(row(name))
        async with bench.working(store, straight, concurrency=3):
            await until(ended(store, *names))

    async def test_the_next_stage_goes_on_under_the_same_lease(self, bench: Bench) -> None:
        store = await bench.store()
        await store.table.add(row())
        async with bench.working(store, straight):
            await until(ended(store, "job"))
        end = await standing(store)
        assert (end.token, end.facts) == (1, {"by": 1})

    async def test_a_woken_row_does_not_wait_for_a_poll(self, bench: Bench) -> None:
        store = await bench.store()
        async with bench.working(store, straight) as workers:
            for _ in range(5):
                await store.table.claim(0)
            await store.table.add(row())
            workers.wake(RowId("job"))
            await until(ended(store, "job"))

    async def test_what_comes_due_by_itself_is_found_by_a_poll(self, bench: Bench) -> None:
        store = await bench.store()
        await store.table.add(row(due_at=NOW + 5))
        async with bench.working(store, straight, poll=0.01):
            bench.clock.now += 5
            await until(ended(store, "job"))

    async def test_no_more_rows_are_in_work_than_allowed(self, bench: Bench) -> None:
        store = await bench.store()
        names = [f"job{number}" for number in range(12)]
        for name in names:
            await store.table.add(row(name))
        running, most = 0, 0

        async def run(hold: Hold) -> Save:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1
            return replace(await straight(hold))

        async with bench.working(store, run, concurrency=3) as workers:
            for name in names:
                workers.wake(RowId(name))
            await until(ended(store, *names))
        assert most == 3

    async def test_a_callback_during_the_work_is_looked_into_at_once(self, bench: Bench) -> None:
        store = await bench.store()
        await store.table.add(row())
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def run(hold: Hold) -> Save:
            if hold.row.token == 1:
                begun.set()
                await go_on.wait()
            return later(heard=hold.row.callbacks) if hold.row.token == 1 else later("looked", 0.0)

        async def second(hold: Hold) -> Save:
            return await run(hold) if hold.row.status == "new" else done()

        async with bench.working(store, second):
            await begun.wait()
            await store.table.call_back(Callback(row_id=RowId("job"), subject=None))
            go_on.set()
            await until(ended(store, "job"))

    async def test_renewing_keeps_others_off_while_the_work_goes_on(self, bench: Bench) -> None:
        store = await bench.store(lease=0.6)
        await store.table.add(row())
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def run(hold: Hold) -> Save:
            begun.set()
            await go_on.wait()
            return later("looked", 600.0) if hold.row.status == "new" else done()

        async with bench.working(store, run, lease=0.6):
            await begun.wait()
            bench.clock.now += 0.5
            before = (await standing(store)).lease_until

            async def renewed() -> bool:
                return (await standing(store)).lease_until > before

            await until(renewed)
            bench.clock.now += 0.3
            assert await store.table.claim(1) == []
            go_on.set()
            await until(released(store))

    async def test_work_that_lost_its_lease_is_cancelled_and_saves_nothing(self, bench: Bench) -> None:
        store = await bench.store(lease=0.3)
        await store.table.add(row())
        begun, cancelled = asyncio.Event(), asyncio.Event()

        async def run(hold: Hold) -> Save:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return done()

        with capture_logs() as logs:
            async with bench.working(store, run, lease=0.3):
                await begun.wait()
                bench.clock.now += 10
                await store.table.claim(1)
                await asyncio.wait_for(cancelled.wait(), 10)
        assert [each["event"] for each in logs] == ["job.lease_lost"]
        assert ((await standing(store)).token, (await standing(store)).status) == (2, "new")

    async def test_a_crash_is_told_without_its_words_and_rests_before_it_comes_again(self, bench: Bench) -> None:
        store = await bench.store()
        await store.table.add(row())

        async def run(hold: Hold) -> Save:
            raise ValueError("words of a transcript")

        with capture_logs() as logs:
            async with bench.working(store, run):
                await until(released(store))
        assert [(each["event"], each["error"]) for each in logs] == [("job.crashed", "ValueError")]
        assert "test_workers.py" in logs[0]["place"]
        assert "words" not in str(logs)
        left = await standing(store)
        assert (left.claims, left.due_at, left.facts) == (1, NOW + 5.0, {"n": 0})

    async def test_a_save_that_is_no_legal_step_is_a_crash(self, bench: Bench) -> None:
        store = await bench.store()
        await store.table.add(row())

        async def run(hold: Hold) -> Save:
            return done()

        with capture_logs() as logs:
            async with bench.working(store, run):
                await until(released(store))
        assert [(each["event"], each["error"]) for each in logs] == [("job.crashed", "IllegalStep")]

    async def test_the_tenth_fruitless_claim_is_given_to_the_stage_that_can_end_it(self, bench: Bench) -> None:
        store = await bench.store()
        await store.table.add(row())
        claims: list[int] = []

        async def run(hold: Hold) -> Save:
            claims.append(hold.row.claims)
            if hold.row.status == "looked":
                return done()
            if hold.row.claims >= rules.CLAIMS_AT_MOST:
                return later("looked", 0.0)
            raise ValueError

        with capture_logs():
            async with bench.working(store, run, poll=0.005):

                async def over() -> bool:
                    bench.clock.now += 400
                    return (await standing(store)).ended

                await until(over)
        assert claims[:10] == list(range(1, 11))

    async def test_a_lost_lease_among_many_failures_of_a_stage_is_no_crash(self, bench: Bench) -> None:
        store = await bench.store()
        await store.table.add(row())

        async def run(hold: Hold) -> Save:
            raise ExceptionGroup("prompts", [StoreTrouble(), ExceptionGroup("one", [ValueError(), LeaseLost()])])

        with capture_logs() as logs:
            async with bench.working(store, run):
                await until(ended_log(logs))
        assert [each["event"] for each in logs] == ["job.lease_lost"]


def ended_log(logs: list[object]) -> Callable[[], Awaitable[bool]]:
    async def true() -> bool:
        return bool(logs)

    return true


class TestTrouble:
    async def test_what_a_stage_brought_is_saved_once_the_store_is_back(self, bench: Bench) -> None:
        store = await bench.store()
        await store.table.add(row(status="looked"))
        away = bench.path.with_name("away.db")

        async def run(hold: Hold) -> Save:
            bench.path.rename(away)
            return done("paid")

        with capture_logs() as logs:
            async with bench.working(store, run, poll=0.01):
                await until(ended_log(logs))
                away.rename(bench.path)
                await until(ended(store, "job"))
                assert (await standing(store)).facts == {"by": "paid"}

                async def recovered() -> bool:
                    return len(logs) > 1

                await until(recovered)
        assert [each["event"] for each in logs] == ["store.failed", "store.recovered"]

    async def test_claims_go_on_once_the_store_is_back(self, bench: Bench) -> None:
        store = await bench.store()
        away = bench.path.with_name("away.db")
        with capture_logs() as logs:
            async with bench.working(store, straight, poll=0.01):
                bench.path.rename(away)
                await until(ended_log(logs))
                away.rename(bench.path)
                await until(lambda: added(store))
                await until(ended(store, "job"))
        assert [each["event"] for each in logs] == ["store.failed", "store.recovered"]


async def added(store: SqliteStore) -> bool:
    try:
        await store.table.add(row())
    except StoreTrouble:
        return False
    return True


class TestStopping:
    async def test_stopping_hands_back_what_does_not_finish(self, bench: Bench) -> None:
        store = await bench.store()
        for number in range(3):
            await store.table.add(row(f"job{number}"))
        begun: list[RowId] = []
        ended_calls: list[float] = []

        async def run(hold: Hold) -> Save:
            begun.append(hold.row.id)
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.02)
                ended_calls.append((await standing(store, hold.row.id)).lease_until)
            return done()

        with capture_logs() as logs:
            async with bench.working(store, run):

                async def all_begun() -> bool:
                    return len(begun) == 3

                await until(all_begun)
        assert [each["event"] for each in logs] == ["job.handed_back"] * 3
        assert all(ended_calls), "a lease was handed back before the cancelled call had ended"
        for number in range(3):
            left = await standing(store, f"job{number}")
            assert (left.lease_until, left.due_at, left.claims, left.facts) == (0.0, NOW, 0, {"n": 0})

    async def test_what_finishes_within_the_grace_is_saved(self, bench: Bench) -> None:
        store = await bench.store()
        await store.table.add(row(status="looked"))
        begun = asyncio.Event()

        async def run(hold: Hold) -> Save:
            begun.set()
            await asyncio.sleep(0.1)
            return done()

        async with bench.working(store, run) as workers:
            await begun.wait()
            await workers.stop(5.0)
            assert (await standing(store)).ended

    async def test_a_stopping_worker_does_not_begin_the_next_stage(self, bench: Bench) -> None:
        store = await bench.store()
        await store.table.add(row())
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def run(hold: Hold) -> Save:
            begun.set()
            await go_on.wait()
            return await straight(hold)

        async with bench.working(store, run) as workers:
            await begun.wait()
            stopping = asyncio.ensure_future(workers.stop(5.0))
            await asyncio.sleep(0)
            go_on.set()
            await stopping
        left = await standing(store)
        assert (left.status, left.lease_until, left.due_at) == ("looked", 0.0, NOW)

    async def test_what_is_shielded_is_waited_for_and_what_it_brought_is_saved(self, bench: Bench) -> None:
        store = await bench.store()
        await store.table.add(row(status="looked"))
        begun = asyncio.Event()

        async def run(hold: Hold) -> Save:
            with hold.shielded():
                begun.set()
                await asyncio.sleep(0.4)
            await asyncio.sleep(0.1)
            return done("paid")

        async with bench.working(store, run) as workers:
            await begun.wait()
            await workers.stop(0.1)
            assert (await standing(store)).facts == {"by": "paid"}

    async def test_a_save_cut_off_by_the_stop_is_not_overwritten_by_the_hand_back(self, bench: Bench) -> None:
        store = await bench.store()
        await store.table.add(row())
        begun = asyncio.Event()

        async def run(hold: Hold) -> Save:
            begun.set()
            for number in range(10_000):
                await hold.save(Save(status="new", facts={"n": number}, due_at=NOW, keep_lease=True))
                seen.append(number)
            return done()

        seen: list[int] = []
        async with bench.working(store, run) as workers:
            await begun.wait()
            await workers.stop(0.1)
        left = await standing(store)
        assert left.facts["n"] in {seen[-1], seen[-1] + 1}
        assert left.lease_until == 0.0

    async def test_a_stage_that_will_not_end_is_given_up_and_its_lease_not_handed_back(self, bench: Bench) -> None:
        store = await bench.store()
        await store.table.add(row())
        begun, release = asyncio.Event(), asyncio.Event()

        async def run(hold: Hold) -> Save:
            begun.set()
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            return done()

        with capture_logs() as logs:
            async with bench.working(store, run) as workers:
                await begun.wait()
                await asyncio.wait_for(workers.stop(0.2), 5)
        assert [each["event"] for each in logs] == ["job.lease_lost"]
        assert (await standing(store)).lease_until > NOW
        release.set()

    async def test_what_is_claimed_while_stopping_is_handed_back_unbegun(self, bench: Bench) -> None:
        store = await bench.store()
        await store.table.add(row())
        begun: list[RowId] = []

        async def run(hold: Hold) -> Save:
            begun.append(hold.row.id)
            return done()

        async with bench.working(store, run) as workers:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await workers.stop(1.0)
        assert begun == []
        assert (await standing(store)).lease_until == 0.0


class TestHold:
    @pytest.fixture
    async def held(self, bench: Bench) -> tuple[SqliteStore, Hold, list[float]]:
        store = await bench.store()
        await store.table.add(row())
        (claimed,) = await store.table.claim(1)
        time = [100.0]
        return store, Hold(claimed, store.table, lease=LEASE, since=100.0, monotonic=lambda: time[0]), time

    async def test_what_is_left_counts_from_before_the_call(self, held: tuple[SqliteStore, Hold, list[float]]) -> None:
        _, hold, time = held
        time[0] += 10
        assert hold.left() == 20.0
        assert await hold.renew() == 30.0
        time[0] += 31
        assert hold.left() == -1.0

    async def test_after_a_lost_lease_nothing_is_written(
        self, bench: Bench, held: tuple[SqliteStore, Hold, list[float]]
    ) -> None:
        store, hold, _ = held
        bench.clock.now += LEASE
        (other,) = await store.table.claim(1)
        for attempt in (hold.renew, lambda: hold.save(later()), lambda: hold.hand_back(NOW, progress=True)):
            with pytest.raises(LeaseLost):
                await attempt()
        assert hold.lost
        assert hold.left() == 0.0
        assert await standing(store) == other

    async def test_a_renewal_does_not_tell_of_callbacks_that_came_after_the_look(
        self, held: tuple[SqliteStore, Hold, list[float]]
    ) -> None:
        store, hold, _ = held
        await store.table.call_back(Callback(row_id=RowId("job"), subject=None))
        await hold.renew()
        assert hold.row.callbacks == 0

    async def test_a_withdrawn_row_is_gone_and_the_hold_over(self, held: tuple[SqliteStore, Hold, list[float]]) -> None:
        store, hold, _ = held
        await hold.withdraw()
        assert hold.withdrawn
        assert await store.jobs.get(RowId("job")) is None
        with pytest.raises(LeaseLost):
            await hold.renew()

    async def test_a_hand_back_after_a_save_of_unknown_outcome_keeps_what_was_written(
        self, held: tuple[SqliteStore, Hold, list[float]]
    ) -> None:
        store, hold, _ = held
        lossy = Lossy(store)
        hold._table = lossy
        with pytest.raises(StoreTrouble):
            await hold.save(later(keep_lease=True))
        await hold.hand_back(NOW, progress=True)
        left = await standing(store)
        assert (left.facts, left.lease_until) == ({"n": 1}, 0.0)


class Lossy:
    """A table whose first save is written, but its answer lost."""

    def __init__(self, store: SqliteStore) -> None:
        self._table = store.table
        self.renew = store.table.renew
        self._lost = False

    async def save(self, row_id: RowId, token: Token, save: Save) -> Row:
        saved = await self._table.save(row_id, token, save)
        if not self._lost:
            self._lost = True
            raise StoreTrouble("the answer was lost")
        return saved
