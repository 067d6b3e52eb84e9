"""What only the store in a table owes: what it forgets, how far it reads, whose clock counts, which table it takes."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cfnlint.decode import cfn_yaml
from structlog.testing import capture_logs

from service.adapters.aws import Aws
from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb import Ages, DynamoStore
from service.adapters.jobs.dynamodb_calls import apart
from service.adapters.jobs.dynamodb_checks import lifetime_problems, table_problems
from service.adapters.jobs.dynamodb_counts import Kept, Worth
from service.adapters.jobs.dynamodb_items import Oversized
from service.adapters.jobs.dynamodb_schema import ACTIONS, EXPIRES_AT, definition
from service.adapters.jobs.dynamodb_schema import keys as schema
from service.domain.errors import Refused
from service.domain.job import Status
from service.engine.errors import LeaseLost, OwnedByAnother, StoreTrouble
from service.engine.row import Callback, Lane, Row, RowId
from tests.adapters.jobs_table import made, opened
from tests.contract.storing import CURRENT, DAY, NOW, Clock, claimed, ended, row, save
from tests.emulator import Emulator

pytestmark = pytest.mark.anyio

TEMPLATE = Path(__file__).parents[2] / "infra" / "afterword.yaml"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(emulator: Emulator) -> str:
    return made(emulator)


@pytest.fixture
async def store(aws: Aws, table: str, clock: Clock) -> AsyncIterator[DynamoStore]:
    async with opened(aws, table, clock) as store:
        yield store


@contextmanager
def counted(patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The operations that are called meanwhile."""
    called: list[str] = []
    call = Aws.call

    async def counting(aws: Aws, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]:
        called.append(operation)
        return await call(aws, service, operation, **parameters)

    with patch.context() as meanwhile:
        meanwhile.setattr(Aws, "call", counting)
        yield called


def same_shard(many: int) -> Sequence[str]:
    names = (f"job{number}" for number in range(many * 8))
    return [name for name in names if items.shard(RowId(name)) == 0][:many]


def stands(emulator: Emulator, table: str, key: items.Item) -> Mapping[str, Any]:
    return dict(emulator.client("dynamodb").get_item(TableName=table, Key=key)["Item"])


def attributes(defined: Mapping[str, Any]) -> Mapping[str, str]:
    return {each["AttributeName"]: each["AttributeType"] for each in defined["AttributeDefinitions"]}


class TestForgetting:
    async def test_only_what_has_ended_may_be_forgotten_and_a_retry_takes_that_back(
        self, store: DynamoStore, emulator: Emulator, table: str
    ) -> None:
        held = await claimed(store, name="a", status=Status.DECIDED)
        assert EXPIRES_AT not in stands(emulator, table, items.row_key(held.id))
        await store.table.save(held.id, held.token, save(Status.FAILED, None))
        assert stands(emulator, table, items.row_key(held.id))[EXPIRES_AT] == {"N": str(int(NOW + 90 * DAY))}
        await store.table.reopen(held.id, Status.RECEIVED, {}, Lane.FRESH)
        assert EXPIRES_AT not in stands(emulator, table, items.row_key(held.id))
        assert await store.prune(NOW + 999 * DAY) == 0

    async def test_what_leads_to_a_row_outlives_it(self, store: DynamoStore, emulator: Emulator, table: str) -> None:
        held = await claimed(store, name="a")
        await store.table.save(held.id, held.token, save(owns="tr_1", names=("alias",)))
        for key in (items.name_key("alias", held), items.owned_key("tr_1")):
            assert float(stands(emulator, table, key)[EXPIRES_AT]["N"]) >= NOW + 2 * 90 * DAY

    async def test_a_forgotten_row_owns_nothing_any_more(
        self, store: DynamoStore, emulator: Emulator, table: str
    ) -> None:
        one, two = await claimed(store, name="one"), await claimed(store, name="two")
        await store.table.save(one.id, one.token, save(owns="tr_1"))
        with pytest.raises(OwnedByAnother):
            await store.table.save(two.id, two.token, save(owns="tr_1"))
        emulator.client("dynamodb").delete_item(TableName=table, Key=items.row_key(one.id))
        assert await store.jobs.find("tr_1") == []
        await store.table.save(two.id, two.token, save(owns="tr_1"))
        assert [each.id for each in await store.jobs.find("tr_1")] == ["two"]

    async def test_names_of_a_withdrawn_row_do_not_lead_to_its_successor(self, store: DynamoStore) -> None:
        await store.table.add(row("a"), ["alias"])
        (held,) = await store.table.claim(1)
        await store.table.withdraw(held.id, held.token)
        await store.table.add(row("a"))
        assert await store.jobs.find("alias") == []


class TestWriting:
    async def test_a_known_row_under_known_names_is_only_read(
        self, store: DynamoStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await store.table.add(row("a"), ["one", "two"])
        with counted(monkeypatch) as called:
            assert not (await store.table.add(row("a"), ["two", "one"]))[1]
        assert called == ["get_item"]
        (held,) = await store.table.claim(1)
        with counted(monkeypatch) as called:
            await store.table.save(held.id, held.token, save(names=("one",)))
        assert called == ["get_item", "update_item"]

    async def test_a_row_keeps_so_many_names_and_no_more(self, store: DynamoStore) -> None:
        await store.table.add(row("a"), ["first"])
        await store.table.add(row("a"), [f"n{number}" for number in range(150)])
        await store.table.add(row("a"), [f"m{number}" for number in range(150)])
        stored = await store.table._writes.read(RowId("a"))
        assert stored is not None
        assert len(stored.names) == 200
        assert len(await store.jobs.find("first")) == 1

    async def test_facts_that_no_item_can_hold_are_refused_and_nothing_is_written(self, store: DynamoStore) -> None:
        noise = {"noise": Random(1).randbytes(400_000).hex()}
        with pytest.raises(Oversized, match="facts take"):
            await store.table.add(row("big", facts=noise))
        held = await claimed(store, name="a")
        with pytest.raises(Oversized):
            await store.table.save(held.id, held.token, save(facts=noise))
        assert await store.jobs.page() == [held]

    async def test_a_long_document_is_pinned_in_pieces(
        self, store: DynamoStore, emulator: Emulator, table: str
    ) -> None:
        document, other = Random(1).randbytes(700_000), Random(2).randbytes(700_000)
        await store.pins.pin("sha", document)
        await store.pins.pin("sha", other)
        assert await store.pins.pinned("sha") == document
        found = emulator.client("dynamodb").scan(TableName=table)["Items"]
        assert max(len(item["piece"]["B"]) for item in found) <= 300_000

    async def test_callbacks_of_one_moment_share_calls_and_those_of_a_row_share_a_write(
        self, store: DynamoStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [RowId(f"job{number}") for number in range(40)]
        await asyncio.gather(*(store.table.add(row(name)) for name in names))
        with counted(monkeypatch) as called:
            callbacks = [Callback(row_id=name, subject=None) for name in names * 5]
            await asyncio.gather(*map(store.table.call_back, callbacks))
        standing = await asyncio.gather(*map(store.jobs.get, names))
        assert {each.callbacks for each in standing if each} == {5}
        assert len(called) < 40

    async def test_the_last_callback_is_told_of_now_and_then(
        self, store: DynamoStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await store.table.add(row("a"))
        with counted(monkeypatch) as called:
            for _ in range(4):
                await store.table.call_back(Callback(row_id=RowId("a"), subject=None))
                clock.now += 2
        assert called.count("put_item") == 2
        assert (await store.jobs.lately(NOW)).last_callback_at == NOW + 6


class TestReading:
    async def test_pages_neither_miss_nor_repeat_what_began_in_the_same_moment(self, store: DynamoStore) -> None:
        rows = [row(f"job{n:03}", created_at=NOW + n // 60, status=list(Status)[n % 4]) for n in range(130)]
        await asyncio.gather(*(store.table.add(each) for each in rows))
        found, after = list[Row](), None
        while page := await store.jobs.page(limit=7, after=after):
            found += page
            after = page[-1].id
        assert found == sorted(rows, key=lambda each: (each.created_at, each.id), reverse=True)
        some = await store.jobs.page(statuses=[Status.SUBMITTED], limit=20)
        assert some == [each for each in found if each.status == Status.SUBMITTED][:20]

    async def test_what_ended_since_is_found_behind_what_ended_before(self, store: DynamoStore, clock: Clock) -> None:
        old = await ended(store, "z-old")
        clock.now += DAY
        late = await ended(store, "a-late")
        assert await store.jobs.page(statuses=[Status.FAILED], since=NOW + 1, limit=1) == [late]
        assert await store.jobs.page(statuses=[Status.FAILED], since=NOW, limit=9) == [old, late]

    async def test_rows_of_newer_replicas_never_hide_those_of_ours(self, store: DynamoStore) -> None:
        *theirs, ours = same_shard(102)
        rows = [row(name, status="translated", due_at=NOW - 10) for name in theirs]
        await asyncio.gather(*(store.table.add(each) for each in [*rows, row(ours)]))
        assert [each.id for each in await store.table.claim(9)] == [ours]

    async def test_what_one_look_found_serves_the_next_claims(
        self, aws: Aws, table: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with opened(aws, table, clock, ages=replace(CURRENT, look_every=60.0)) as store:
            for number in range(3):
                await store.table.add(row(f"{number}"))
            first = await store.table.claim(1)
            with counted(monkeypatch) as called:
                more = [*await store.table.claim(1), *await store.table.claim(1)]
            assert len({each.id for each in [*first, *more]}) == 3
            assert "query" not in called

    async def test_a_candidate_that_another_took_is_left(self, aws: Aws, table: str, clock: Clock) -> None:
        async with (
            opened(aws, table, clock, ages=replace(CURRENT, look_every=60.0)) as slow,
            opened(aws, table, clock) as quick,
        ):
            for number in range(3):
                await slow.table.add(row(f"{number}"))
            (mine,) = await slow.table.claim(1)
            theirs = await quick.table.claim(9)
            assert await slow.table.claim(9) == []
            assert {mine.id, *(each.id for each in theirs)} == {"0", "1", "2"}
            with pytest.raises(LeaseLost):
                await slow.table.renew(theirs[0].id, type(mine.token)(7))

    async def test_reads_that_dynamodb_left_undone_are_done(
        self, store: DynamoStore, monkeypatch: pytest.MonkeyPatch, table: str
    ) -> None:
        for number in range(3):
            await store.table.add(row(f"{number}"))
        call, cut = Aws.call, list[int]()

        async def cutting(aws: Aws, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]:
            asked = parameters.get("RequestItems", {}).get(table)
            if operation != "batch_get_item" or len(asked["Keys"]) == 1:
                return await call(aws, service, operation, **parameters)
            cut.append(len(asked["Keys"]))
            some, left = ({table: {**asked, "Keys": part}} for part in (asked["Keys"][:1], asked["Keys"][1:]))
            answer = await call(aws, service, operation, RequestItems=some)
            return {**answer, "UnprocessedKeys": left}

        monkeypatch.setattr(Aws, "call", cutting)
        assert len(await store.table.claim(9, only=[RowId(f"{number}") for number in range(3)])) == 3
        assert cut == [3, 2]

    async def test_a_count_is_kept_as_long_as_it_is_worth(self) -> None:
        now, units, asked = 0.0, 0.0, 0

        async def ask() -> tuple[int, float]:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            return asked, units

        kept = Kept(ask, Worth(least=1.0, rate=10.0), lambda: now)
        assert await asyncio.gather(kept.get(), kept.get()) == [1, 1]
        now, units = 1.0, 50.0
        assert await kept.get() == 2
        now = 5.9
        assert await kept.get() == 2
        now = 6.0
        assert await kept.get() == 3

    async def test_a_count_that_takes_longer_than_somebody_waits_is_there_for_the_next(self) -> None:
        asked, counted = 0, asyncio.Event()

        async def ask() -> tuple[int, float]:
            nonlocal asked
            asked += 1
            await counted.wait()
            return asked, 0.0

        kept = Kept(ask, Worth(least=1.0, rate=1.0), lambda: 0.0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(kept.get(), 0.01)
        counted.set()
        assert await kept.get() == 1


class TestClock:
    @pytest.mark.parametrize(
        ("began", "ended", "theirs", "off"),
        [
            (100.9, 101.0, 100.0, 0.0),
            (100.0, 108.0, 104.0, 0.0),
            (107.0, 107.5, 100.0, 6.0),
            (90.0, 91.0, 100.0, -9.0),
            (90.0, 99.0, 100.0, -1.0),
        ],
    )
    def test_only_what_is_surely_off_counts(self, began: float, ended: float, theirs: float, off: float) -> None:
        assert apart(began, ended, theirs) == off

    async def test_a_wrong_clock_claims_nothing_and_is_told_once(self, aws: Aws, table: str) -> None:
        clock = Clock()
        async with opened(aws, table, clock, ages=Ages(look_every=0.0)) as store:
            with capture_logs() as logs:
                await store.table.add(row("a"))
                assert await store.table.claim(9) == []
                assert await store.table.claim(9, only=[RowId("a")]) == []
                with pytest.raises(StoreTrouble, match="off DynamoDB's"):
                    await store.ready()
                wrong = store.calls.clock_off
                clock.now -= wrong
                store.calls._dated = ""
                await store.ready()
            assert [each["event"] for each in logs] == ["clock.drifted", "clock.corrected"]
            assert [each.id for each in await store.table.claim(9)] == ["a"]


class TestTheTable:
    def test_the_stack_makes_the_table_that_we_need(self) -> None:
        resources = cfn_yaml.load(str(TEMPLATE))["Resources"]
        (stacked,) = (each["Properties"] for each in resources.values() if each["Type"] == "AWS::DynamoDB::Table")
        wanted = definition("any")
        for name in ("BillingMode", "KeySchema", "GlobalSecondaryIndexes"):
            assert stacked[name] == wanted[name]
        assert attributes(stacked) == attributes(wanted)
        assert stacked["TimeToLiveSpecification"] == {"AttributeName": EXPIRES_AT, "Enabled": True}
        assert all(action in TEMPLATE.read_text() for action in ACTIONS)

    async def test_a_missing_table_is_refused_and_not_made(self, aws: Aws, emulator: Emulator, clock: Clock) -> None:
        name = emulator.name("jobs")
        with pytest.raises(Refused, match=f"AFTERWORD_JOBS: there is no DynamoDB table {name} .*; deploy the stack"):
            await opened(aws, name, clock).__aenter__()
        assert name not in emulator.client("dynamodb").list_tables()["TableNames"]

    async def test_another_s_table_is_refused_with_all_that_it_lacks(self, aws: Aws, emulator: Emulator) -> None:
        client, wrong, bare = emulator.client("dynamodb"), emulator.name("jobs"), emulator.name("jobs")
        spelled: dict[str, Any] = dict(definition(bare))
        due, listed, _ = spelled["GlobalSecondaryIndexes"]
        shard, ready = (each["AttributeName"] for each in due["KeySchema"])
        due = {**due, "KeySchema": schema(ready, shard)}
        listed = {**listed, "Projection": {"ProjectionType": "KEYS_ONLY"}}
        spelled["AttributeDefinitions"].pop()
        client.create_table(**{**spelled, "GlobalSecondaryIndexes": [due, listed]})
        found = [each.what.partition("the index ")[2] or each.what for each in await table_problems(aws, bare)]
        assert found == [
            f"`due` of the table {bare} has other keys than `due_shard`, `ready_at`",
            f"`listed` of the table {bare} does not carry ended_at, lane",
            f"the table {bare} has no index `ended`",
        ]
        keys = [{"AttributeName": "id", "KeyType": "HASH"}]
        spelled["AttributeDefinitions"] = [{"AttributeName": "id", "AttributeType": "S"}]
        del spelled["GlobalSecondaryIndexes"]
        client.create_table(**{**spelled, "TableName": wrong, "KeySchema": keys})
        assert [each.what for each in await table_problems(aws, wrong)] == [
            f"the table {wrong} has other keys than `pk` and `sk`"
        ]

    async def test_a_table_that_forgets_nothing_or_the_wrong_things_is_told_of(
        self, aws: Aws, emulator: Emulator, table: str, clock: Clock
    ) -> None:
        client = emulator.client("dynamodb")
        with capture_logs() as logs:
            async with opened(aws, table, clock):
                pass
        assert [(each["event"], each["place"]) for each in logs] == [("setting.doubted", "AFTERWORD_JOBS")]
        for attribute, problems in (("until", 1), (EXPIRES_AT, 0)):
            specification = {"Enabled": True, "AttributeName": attribute}
            client.update_time_to_live(TableName=table, TimeToLiveSpecification=specification)
            assert len(await lifetime_problems(aws, table)) == problems
            if problems:
                client.update_time_to_live(TableName=table, TimeToLiveSpecification={**specification, "Enabled": False})

    async def test_while_aws_cannot_be_reached_it_opens_and_every_call_is_trouble(
        self, emulator: Emulator, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        nowhere = Aws(attempts=1)
        async with opened(nowhere, "jobs", clock) as store:
            for act in (
                store.table.add(row()),
                store.table.claim(1),
                store.table.call_back(Callback(row_id=RowId("a"), subject=None)),
                store.jobs.page(),
                store.jobs.counts(),
                store.gates.closed(),
                store.unmatched.kept(),
                store.ready(),
            ):
                with pytest.raises(StoreTrouble, match="the job table jobs did not take"):
                    await act
        nowhere.close()
