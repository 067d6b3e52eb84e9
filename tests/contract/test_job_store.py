"""What every job store owes, whichever engine keeps it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from service.adapters.jobs import dynamodb_unmatched, sqlite_unmatched
from service.adapters.jobs.sqlite import SqliteStore
from service.domain.job import JobId, Status
from service.engine.errors import IllegalStep, LeaseLost, OwnedByAnother
from service.engine.row import Callback, Heard, Lane, RowId
from tests.contract.storing import DAY, LEASE, NOW, Clock, Store, Stores, claimed, ended, row, save

pytestmark = pytest.mark.anyio


class TestTable:
    async def test_what_is_added_twice_stands_once_and_gathers_names(self, store: Store) -> None:
        assert await store.table.add(row(), ["one"]) == (row(), True)
        assert await store.table.add(row(facts={"n": 9}), ["two"]) == (row(), False)
        assert [await store.jobs.find(name) for name in ("job", "one", "two", "three")] == [[row()]] * 3 + [[]]

    async def test_a_claim_takes_what_is_due_under_a_new_token_and_a_lease(self, store: Store, clock: Clock) -> None:
        await store.table.add(row())
        await store.table.add(row("later", due_at=NOW + 5))
        (held,) = await store.table.claim(9)
        assert (held.id, held.token, held.claims, held.lease_until) == ("job", 1, 1, NOW + LEASE)
        assert held.facts == {"n": 1}
        assert await store.jobs.get(held.id) == held
        clock.now += 5
        assert [each.id for each in await store.table.claim(9)] == ["later"]

    async def test_a_row_is_claimed_again_only_after_its_lease(self, store: Store, clock: Clock) -> None:
        held = await claimed(store)
        clock.now += LEASE - 0.1
        assert await store.table.claim(1) == []
        clock.now += 0.1
        (again,) = await store.table.claim(1)
        assert (again.token, again.claims) == (held.token + 1, 2)

    async def test_two_stores_never_claim_the_same_row(self, stores: Stores) -> None:
        one, two = await stores.open(), await stores.open()
        await asyncio.gather(*(one.table.add(row(f"job{number}")) for number in range(60)))
        taken = await asyncio.gather(*(store.table.claim(4) for _ in range(15) for store in (one, two)))
        ids = [each.id for rows in taken for each in rows]
        assert len(ids) == len(set(ids)) == 60

    async def test_a_claim_of_certain_rows_takes_no_others(self, store: Store) -> None:
        for name in ("a", "b", "c"):
            await store.table.add(row(name))
        assert [each.id for each in await store.table.claim(9, only=[RowId("b"), RowId("b"), RowId("x")])] == ["b"]

    async def test_rows_that_a_newer_replica_wrote_are_left_alone(self, store: Store) -> None:
        await store.table.add(row("schema", schema=2))
        await store.table.add(row("status", status="translated"))
        names = [RowId("schema"), RowId("status")]
        assert await store.table.claim(9) == []
        assert await store.table.claim(9, only=names) == []
        for name in names:
            assert await store.table.call_back(Callback(row_id=name, subject="tr_1")) is Heard.UNKNOWN
            assert await store.pins.notes(JobId(name)) == ["tr_1"]

    async def test_fresh_rows_go_first_and_every_eighth_claim_takes_the_longest_due(self, store: Store) -> None:
        fresh = [row(f"fresh{n}", due_at=NOW - 10) for n in range(20)]
        backfill = [row(f"backfill{n:02}", lane=Lane.BACKFILL, due_at=NOW - 100 + n) for n in range(20)]
        await asyncio.gather(*(store.table.add(each) for each in [*fresh, *backfill]))
        lanes = [(await store.table.claim(1))[0].id for _ in range(16)]
        assert [number for number, name in enumerate(lanes, 1) if name.startswith("backfill")] == [8, 16]
        assert [lanes[7], lanes[15]] == ["backfill00", "backfill01"]

    async def test_claims_pick_at_random_within_the_hundred_longest_due(self, store: Store) -> None:
        await asyncio.gather(*(store.table.add(row(f"{n:03}", due_at=NOW - 1000 + n)) for n in range(130)))
        picked = [int(each.id) for each in await store.table.claim(20)]
        assert picked != sorted(picked)
        assert max(picked) < 100

    async def test_only_the_holder_writes(self, store: Store, clock: Clock) -> None:
        first = await claimed(store)
        clock.now += LEASE
        (second,) = await store.table.claim(1)
        for attempt in (
            store.table.save(first.id, first.token, save()),
            store.table.renew(first.id, first.token),
            store.table.withdraw(first.id, first.token),
            store.table.save(RowId("nobody"), first.token, save()),
        ):
            with pytest.raises(LeaseLost):
                await attempt
        assert await store.jobs.get(first.id) == second
        saved = await store.table.save(second.id, second.token, save())
        assert (saved.status, saved.facts, saved.due_at, saved.claims) == (Status.SUBMITTED, {"n": 2}, NOW + 600, 0)
        with pytest.raises(LeaseLost):
            await store.table.save(second.id, second.token, save())
        with pytest.raises(LeaseLost):
            await store.table.renew(second.id, second.token)
        assert await store.jobs.get(first.id) == saved

    async def test_a_renewed_lease_keeps_others_off(self, store: Store, clock: Clock) -> None:
        held = await claimed(store)
        clock.now += LEASE - 1
        renewed = await store.table.renew(held.id, held.token, progress=True)
        assert (renewed.lease_until, renewed.claims) == (clock.now + LEASE, 0)
        clock.now += LEASE - 1
        assert await store.table.claim(1) == []
        kept = await store.table.save(held.id, held.token, save(keep_lease=True))
        assert kept.lease_until == renewed.lease_until

    async def test_an_illegal_step_writes_nothing(self, store: Store) -> None:
        held = await claimed(store)
        with pytest.raises(IllegalStep):
            await store.table.save(held.id, held.token, save(Status.PUBLISHED, None, names=("n",), owns="o"))
        assert await store.jobs.get(held.id) == held
        assert await store.jobs.find("n") == await store.jobs.find("o") == []

    async def test_a_name_is_owned_by_one_row(self, store: Store) -> None:
        one, two = await claimed(store, name="one"), await claimed(store, name="two")
        for _ in range(2):
            await store.table.save(one.id, one.token, save(owns="tr_1", names=("alias",), keep_lease=True))
        with pytest.raises(OwnedByAnother):
            await store.table.save(two.id, two.token, save(owns="tr_1", names=("alias",)))
        assert await store.jobs.get(two.id) == two
        assert [each.id for each in await store.jobs.find("tr_1")] == ["one"]
        assert [each.id for each in await store.jobs.find("alias")] == ["one"]

    async def test_a_withdrawn_row_may_come_again(self, store: Store) -> None:
        held = await claimed(store)
        await store.table.save(held.id, held.token, save(owns="tr_1", names=("alias",), keep_lease=True))
        await store.table.withdraw(held.id, held.token)
        assert await store.jobs.get(held.id) is None
        assert await store.jobs.find("alias") == []
        assert (await store.table.add(row()))[1]
        (again,) = await store.table.claim(1)
        await store.table.save(again.id, again.token, save(owns="tr_1"))

    async def test_an_ended_row_changes_only_by_being_reopened(self, store: Store, clock: Clock) -> None:
        with pytest.raises(KeyError):
            await store.table.reopen(RowId("nobody"), Status.RECEIVED, {}, Lane.FRESH)
        end = await ended(store)
        clock.now += DAY
        assert await store.table.call_back(Callback(row_id=end.id, subject=None)) is Heard.ENDED
        assert await store.table.claim(9) == []
        assert await store.jobs.get(end.id) == end
        with pytest.raises(IllegalStep):
            await store.table.reopen(end.id, Status.DECIDED, {}, Lane.FRESH)
        reopened = await store.table.reopen(end.id, Status.TRANSCRIBED, {"run": 2}, Lane.BACKFILL)
        assert (reopened.due_at, reopened.facts, reopened.lane) == (clock.now, {"run": 2}, Lane.BACKFILL)
        with pytest.raises(IllegalStep):
            await store.table.reopen(end.id, Status.TRANSCRIBED, {}, Lane.FRESH)
        assert [each.id for each in await store.table.claim(9)] == [end.id]


class TestCallbacks:
    async def test_a_callback_makes_its_row_due_and_leaves_the_lease(self, store: Store, clock: Clock) -> None:
        held = await claimed(store)
        clock.now += 1
        assert await store.table.call_back(Callback(row_id=held.id, subject="tr_1")) is Heard.COUNTED
        assert await store.jobs.get(held.id) == replace(held, callbacks=1)
        assert await store.table.claim(9) == []

    async def test_a_callback_that_lands_during_the_work_is_looked_into_after_it(
        self, store: Store, clock: Clock
    ) -> None:
        held = await claimed(store)
        await store.table.call_back(Callback(row_id=held.id, subject="tr_1"))
        saved = await store.table.save(held.id, held.token, save(heard=held.callbacks, subject="tr_1"))
        assert saved.due_at == NOW
        (again,) = await store.table.claim(1)
        saved = await store.table.save(again.id, again.token, save(heard=again.callbacks))
        assert saved.due_at == NOW + 600

    async def test_callbacks_beside_saves_are_all_counted(self, stores: Stores) -> None:
        worker, receiver = await stores.open(), await stores.open()
        held = await claimed(worker)

        async def work() -> None:
            for number in range(40):
                facts = {"n": number}
                await worker.table.save(held.id, held.token, replace(save(), facts=facts, keep_lease=True))

        callbacks = [receiver.table.call_back(Callback(row_id=held.id, subject=None)) for _ in range(200)]
        heard, _ = await asyncio.gather(asyncio.gather(*callbacks), work())
        standing = await worker.jobs.get(held.id)
        assert set(heard) == {Heard.COUNTED}
        assert standing is not None
        assert (standing.callbacks, standing.facts, standing.due_at) == (200, {"n": 39}, NOW)

    async def test_a_callback_of_another_subject_is_noted_and_not_counted(self, store: Store) -> None:
        held = await claimed(store)
        await store.table.save(held.id, held.token, save(owns="tr_1", subject="tr_1"))
        before = await store.jobs.get(held.id)
        assert await store.table.call_back(Callback(row_id=held.id, subject="tr_2")) is Heard.OTHER_SUBJECT
        assert await store.jobs.get(held.id) == before
        assert await store.table.call_back(Callback(row_id=held.id, subject="tr_1")) is Heard.COUNTED
        assert await store.pins.notes(JobId("job")) == ["tr_2"]

    async def test_callbacks_of_unknown_rows_are_noted_until_the_row_owns_them(
        self, store: Store, clock: Clock
    ) -> None:
        for subject in ("tr_2", "tr_1", "tr_2", None):
            callback = Callback(row_id=RowId("job"), subject=subject)
            assert await store.table.call_back(callback) is Heard.UNKNOWN
            clock.now += 1
        assert await store.pins.notes(JobId("job")) == ["tr_2", "tr_1"]
        held = await claimed(store)
        await store.table.save(held.id, held.token, save(owns="tr_2"))
        assert await store.pins.notes(JobId("job")) == ["tr_1"]

    async def test_notes_are_bounded_in_number_and_age(self, store: Store, clock: Clock) -> None:
        for number in range(25):
            clock.now += 1
            await store.table.call_back(Callback(row_id=RowId("job"), subject=f"tr_{number}"))
        assert await store.pins.notes(JobId("job")) == [f"tr_{number}" for number in range(5, 25)]
        clock.now += 8 * DAY
        assert await store.pins.notes(JobId("job")) == []
        await store.table.call_back(Callback(row_id=RowId("job"), subject="tr_new"))
        assert await store.pins.notes(JobId("job")) == ["tr_new"]


class TestReading:
    async def test_pages_go_from_the_newest_to_the_oldest(self, store: Store) -> None:
        for number in range(5):
            await store.table.add(row(f"{number}", created_at=NOW + number // 2, updated_at=NOW + number))
        first = await store.jobs.page(limit=2)
        second = await store.jobs.page(limit=9, after=first[-1].id)
        assert [each.id for each in [*first, *second]] == ["4", "3", "2", "1", "0"]
        assert [each.id for each in await store.jobs.page(since=NOW + 3)] == ["4", "3"]
        assert await store.jobs.page(after=RowId("nobody")) == []

    async def test_pages_may_be_of_certain_statuses(self, store: Store) -> None:
        await store.table.add(row("a"))
        await ended(store, "b")
        assert [each.id for each in await store.jobs.page(statuses=[Status.FAILED])] == ["b"]
        assert await store.jobs.page(statuses=[]) == []

    async def test_counts_tell_what_waits_and_since_when(self, store: Store) -> None:
        await ended(store, "done")
        await claimed(store, name="in work")
        await store.table.add(row("old", due_at=NOW - 50))
        await store.table.add(row("parked", due_at=NOW + 50, parked="balance"))
        await store.table.add(row("slow", lane=Lane.BACKFILL, due_at=NOW + 5))
        told = [
            (each.status, each.lane, each.rows, each.due, each.parked, each.oldest_due_at)
            for each in await store.jobs.counts()
        ]
        assert told == [
            ("failed", "fresh", 1, 0, 0, None),
            ("received", "backfill", 1, 0, 0, None),
            ("received", "fresh", 3, 1, 1, NOW - 50),
        ]

    async def test_it_tells_what_ended_lately_and_when_a_callback_last_came(self, store: Store) -> None:
        nothing = await store.jobs.lately(NOW - 600)
        assert (nothing.ended, nothing.last_callback_at) == (0, None)
        await ended(store, "done")
        await store.table.add(row("waiting"))
        await store.table.call_back(Callback(row_id=RowId("nobody"), subject="tr_1"))
        since, later = await store.jobs.lately(NOW - 600), await store.jobs.lately(NOW + 600)
        assert (since.ended, since.last_callback_at) == (1, NOW)
        assert (later.ended, later.last_callback_at) == (0, NOW)

    async def test_a_pin_keeps_what_it_first_was(self, store: Store) -> None:
        assert await store.pins.pinned("sha") is None
        await store.pins.pin("sha", b"first")
        await store.pins.pin("sha", b"second")
        assert await store.pins.pinned("sha") == b"first"


class TestGates:
    async def test_a_gate_is_shut_once(self, stores: Stores) -> None:
        one, two = await stores.open(), await stores.open()
        told = await asyncio.gather(
            *(store.gates.shut("balance", "no money") for store in (one, two) for _ in range(5))
        )
        assert [first for _, first in told].count(True) == 1
        (closed,) = await two.gates.closed()
        assert (closed.gate, closed.since, closed.reason, closed.next_probe_at) == ("balance", NOW, "no money", NOW + 2)

    async def test_one_caller_in_all_probes_per_pause_and_pauses_double(self, stores: Stores, clock: Clock) -> None:
        one, two = await stores.open(), await stores.open()
        await one.gates.shut("balance", "no money")
        assert not await two.gates.probe("balance")
        pauses: list[float] = []
        for _ in range(9):
            (closed,) = await one.gates.closed()
            pauses.append(closed.next_probe_at - clock.now)
            clock.now = closed.next_probe_at
            tried = await asyncio.gather(*(store.gates.probe("balance") for store in (one, two) for _ in range(5)))
            assert tried.count(True) == 1
            assert not (await one.gates.shut("balance", "still none"))[1]
        assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 300]

    async def test_a_gate_that_opens_makes_due_what_was_parked_at_it(self, store: Store) -> None:
        for number in range(3):
            await store.table.add(row(f"{number}", due_at=NOW + 300, parked="balance"))
        await store.table.add(row("elsewhere", due_at=NOW + 300, parked="gateway"))
        await store.gates.shut("balance", "no money")
        assert await store.gates.reopen("balance")
        assert not await store.gates.reopen("balance")
        assert await store.gates.closed() == []
        assert await store.gates.probe("balance")
        rows = await store.table.claim(9)
        assert sorted(each.id for each in rows) == ["0", "1", "2"]
        assert {each.parked for each in rows} == {None}

    async def test_however_many_are_parked_all_come_due(self, store: Store) -> None:
        # More than are freed at once: by a transaction of the file, by one read of the table.
        many = 1_001 if isinstance(store, SqliteStore) else 101
        waiting = [row(f"{number}", due_at=NOW + 300, parked="balance") for number in range(many)]
        await asyncio.gather(*(store.table.add(each) for each in waiting))
        await store.gates.shut("balance", "no money")
        assert await store.gates.reopen("balance")
        (count,) = await store.jobs.counts()
        assert (count.due, count.parked) == (many, 0)


async def remembered(store: Store) -> Sequence[bytes]:
    found, after = await store.unmatched.kept()
    while after is not None:
        more, after = await store.unmatched.kept(after)
        found = [*found, *more]
    return found


class TestUnmatched:
    async def test_what_was_unmatched_is_remembered_for_a_week(self, store: Store, clock: Clock) -> None:
        assert await store.unmatched.keep("s3://calls/a.mp3", b"first")
        assert await store.unmatched.keep("s3://calls/b.mp3", b"other")
        clock.now += DAY
        assert not await store.unmatched.keep("s3://calls/a.mp3", b"second")
        assert sorted(await remembered(store)) == [b"other", b"second"]
        clock.now += 6 * DAY + 1
        assert await remembered(store) == [b"second"]
        clock.now += DAY
        assert await remembered(store) == []
        assert await store.unmatched.keep("s3://calls/a.mp3", b"third")

    async def test_what_was_taken_is_forgotten(self, store: Store) -> None:
        for name in ("a", "b", "ü" * 600):
            await store.unmatched.keep(name, name.encode())
        for name in ("b", "nobody"):
            await store.unmatched.forget(name)
        assert sorted(await remembered(store)) == [b"a", ("ü" * 600).encode()]

    async def test_however_many_are_remembered_few_are_told_at_once(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in (sqlite_unmatched, dynamodb_unmatched):
            monkeypatch.setattr(module, "PAGE", 2)
        documents = [f"{number}".encode() for number in range(11)]
        for each in documents:
            await store.unmatched.keep(f"s3://calls/{each.decode()}", each)
        found, after = await store.unmatched.kept()
        while after is not None:
            # What is taken meanwhile does not lead astray.
            for each in found:
                await store.unmatched.forget(f"s3://calls/{each.decode()}")
            some, after = await store.unmatched.kept(after)
            assert len(some) <= 2
            found = [*found, *some]
        assert sorted(found) == sorted(documents)
