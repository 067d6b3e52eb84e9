"""What AWS and the way to it do to each write: nothing is done twice, nothing that was acknowledged is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest

from service.adapters.aws import Aws, AwsError
from service.adapters.jobs.dynamodb import DynamoStore
from service.domain.job import JobId, Status
from service.engine.errors import OwnedByAnother, StoreTrouble
from service.engine.row import Callback, Heard, Lane, Row, RowId
from tests.adapters.jobs_table import CURRENT, made, opened
from tests.contract.storing import NOW, Clock, row, save
from tests.emulator import Emulator, Faulty

pytestmark = pytest.mark.anyio

T = TypeVar("T")

TOO_MUCH = {"error": {"code": "ProvisionedThroughputExceededException", "status": 400}}
BROKEN = {"error": {"code": "InternalServerError", "status": 500}}
LOST = {"response": {"abort_frac": 0.0}}
HALF_LOST = {"response": {"abort_frac": 0.3}}
RESET = {"reset": True}
LATE = {"latency": 50}
FAULTS = {"too much": TOO_MUCH, "broken": BROKEN, "lost": LOST, "half": HALF_LOST, "reset": RESET, "late": LATE}


@dataclass
class Scene:
    """The store behind the proxy, and the same table seen without it."""

    store: DynamoStore
    seen: DynamoStore
    faulty: Faulty

    def fail(self, operation: str, fault: Mapping[str, Any], times: int = 1) -> None:
        self.faulty.rules({"service": "dynamodb", "operation": operation, "times": times, **fault})

    async def row(self, name: str) -> Row:
        found = await self.seen.jobs.get(RowId(name))
        assert found is not None
        return found


@pytest.fixture(scope="module")
def table(emulator: Emulator) -> str:
    return made(emulator)


@contextmanager
def towards(url: str, attempts: int) -> Iterator[Aws]:
    """AWS at this address, with so many attempts of botocore's own: a second one hides ours and takes a second."""
    made = Aws(attempts=attempts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        made.client("dynamodb")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def through(proxy: Faulty) -> Iterator[Aws]:
    with towards(proxy.url, attempts=1) as made:
        yield made


@pytest.fixture(scope="module")
def straight(emulator: Emulator) -> Iterator[Aws]:
    with towards(emulator.url, attempts=3) as made:
        yield made


@pytest.fixture
async def scene(through: Aws, straight: Aws, faulty: Faulty, table: str) -> AsyncIterator[Scene]:
    clock = Clock()
    async with opened(through, table, clock) as store, opened(straight, table, clock) as seen:
        yield Scene(store, seen, faulty)


@pytest.fixture(params=FAULTS.values(), ids=FAULTS)
def fault(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    return dict(request.param)


@pytest.fixture
def name(emulator: Emulator) -> str:
    return emulator.name("job")


async def insisted(act: Callable[[], Awaitable[T]]) -> T:
    """As those who call do: trouble means again."""
    for _ in range(3):
        try:
            return await act()
        except StoreTrouble:
            continue
    return await act()


async def held(scene: Scene, name: str, **fields: object) -> Row:
    await scene.seen.table.add(row(name, **fields))
    (claimed,) = await scene.seen.table.claim(1, only=[RowId(name)])
    return claimed


async def test_a_row_is_added_once_and_its_maker_knows_it(scene: Scene, name: str, fault: Mapping[str, Any]) -> None:
    # The name's item is put before the row's: one fault for each.
    scene.fail("PutItem", fault, times=2)
    added = await insisted(lambda: scene.store.table.add(row(name), [f"{name}'s"]))
    assert added == (row(name), True)
    assert [each.id for each in await scene.seen.jobs.find(f"{name}'s")] == [name]
    assert await scene.store.table.add(row(name), [f"{name}'s"]) == (row(name), False)


async def test_a_claim_is_neither_lost_nor_doubled(scene: Scene, name: str, fault: Mapping[str, Any]) -> None:
    await scene.seen.table.add(row(name))
    scene.fail("UpdateItem", fault)
    (claimed,) = await insisted(lambda: scene.store.table.claim(1, only=[RowId(name)]))
    assert (claimed.token, claimed.claims) == (1, 1)
    assert await scene.row(name) == claimed
    assert await scene.seen.table.claim(1, only=[RowId(name)]) == []


async def test_one_row_s_trouble_takes_no_other_claim_along(scene: Scene, emulator: Emulator) -> None:
    names = [RowId(emulator.name("job")) for _ in range(4)]
    for each in names:
        await scene.seen.table.add(row(each))
    scene.fail("UpdateItem", TOO_MUCH)
    assert len(await scene.store.table.claim(9, only=names)) == 3


async def test_a_save_is_written_once(scene: Scene, name: str, fault: Mapping[str, Any]) -> None:
    mine = await held(scene, name)
    scene.fail("UpdateItem", fault)
    saved = await insisted(lambda: scene.store.table.save(mine.id, mine.token, save()))
    assert (saved.status, saved.due_at, saved.facts) == (Status.SUBMITTED, NOW + 600, {"n": 2})
    assert await scene.row(name) == saved


async def test_a_save_that_owns_is_whole(scene: Scene, name: str, fault: Mapping[str, Any]) -> None:
    mine, other = await held(scene, name), await held(scene, f"{name}-other")
    scene.fail("TransactWriteItems", fault)
    saved = await insisted(lambda: scene.store.table.save(mine.id, mine.token, save(owns=f"tr-{name}", names=("x",))))
    assert await scene.row(name) == saved
    assert [each.id for each in await scene.seen.jobs.find(f"tr-{name}")] == [name]
    with pytest.raises(OwnedByAnother):
        await scene.store.table.save(other.id, other.token, save(owns=f"tr-{name}"))


async def test_a_callback_counts_once(scene: Scene, name: str, fault: Mapping[str, Any]) -> None:
    await scene.seen.table.add(row(name, due_at=NOW + 600))
    scene.fail("UpdateItem", fault)
    heard = await insisted(lambda: scene.store.table.call_back(Callback(row_id=RowId(name), subject="tr_1")))
    assert heard is Heard.COUNTED
    standing = await scene.row(name)
    assert (standing.callbacks, standing.due_at) == (1, NOW)
    assert await scene.seen.pins.notes(JobId(name)) == ["tr_1"]


async def test_each_of_many_callbacks_counts_once(scene: Scene, fault: Mapping[str, Any], emulator: Emulator) -> None:
    names = [RowId(emulator.name("job")) for _ in range(8)]
    for each in names:
        await scene.seen.table.add(row(each))
    scene.fail("BatchExecuteStatement", fault)

    async def call(name: RowId) -> Heard:
        return await insisted(lambda: scene.store.table.call_back(Callback(row_id=name, subject=None)))

    assert set(await asyncio.gather(*map(call, names))) == {Heard.COUNTED}
    assert {(await scene.row(each)).callbacks for each in names} == {1}
    assert scene.faulty.fired(), "the callbacks went together"


async def test_a_note_is_kept_once(scene: Scene, name: str, fault: Mapping[str, Any]) -> None:
    await scene.store.table.call_back(Callback(row_id=RowId(f"{name}-before"), subject=None))
    scene.fail("PutItem", fault)
    heard = await insisted(lambda: scene.store.table.call_back(Callback(row_id=RowId(name), subject="tr_1")))
    assert heard is Heard.UNKNOWN
    assert await scene.seen.pins.notes(JobId(name)) == ["tr_1"]


async def test_a_row_is_reopened_once(scene: Scene, name: str, fault: Mapping[str, Any]) -> None:
    mine = await held(scene, name, status=Status.DECIDED)
    await scene.seen.table.save(mine.id, mine.token, save(Status.FAILED, None))
    scene.fail("UpdateItem", fault)
    reopened = await insisted(lambda: scene.store.table.reopen(mine.id, Status.TRANSCRIBED, {"run": 2}, Lane.FRESH))
    assert (reopened.token, reopened.facts) == (mine.token + 1, {"run": 2})
    assert await scene.row(name) == reopened


async def test_a_row_is_withdrawn_whole(scene: Scene, name: str, fault: Mapping[str, Any]) -> None:
    mine = await held(scene, name)
    await scene.seen.table.save(mine.id, mine.token, save(owns=f"tr-{name}", keep_lease=True))
    scene.fail("TransactWriteItems", fault)
    await insisted(lambda: scene.store.table.withdraw(mine.id, mine.token))
    assert await scene.seen.jobs.get(mine.id) is None
    assert await scene.seen.jobs.find(f"tr-{name}") == []


async def test_a_gate_is_shut_and_opened_once(scene: Scene, name: str, fault: Mapping[str, Any]) -> None:
    scene.fail("PutItem", fault)
    _, first = await insisted(lambda: scene.store.gates.shut(name, "no money"))
    assert first
    scene.fail("PutItem", fault)
    assert await insisted(lambda: scene.store.gates.reopen(name))
    assert name not in [closed.gate for closed in await scene.seen.gates.closed()]


async def test_what_botocore_sends_again_is_known_for_our_own(scene: Scene, table: str, name: str) -> None:
    with towards(scene.faulty.url, attempts=2) as aws:
        async with opened(aws, table, Clock()) as store:
            scene.fail("PutItem", LOST)
            assert (await store.table.add(row(name)))[1]
            scene.fail("UpdateItem", LOST)
            (mine,) = await store.table.claim(1, only=[RowId(name)])
            assert (mine.token, await scene.row(name)) == (1, mine)


class Interrupted(Aws):
    """AWS, with something that happens just before or just after one call; after it, its answer is lost."""

    def __init__(self, through: Aws, operation: str, happens: Callable[[], Awaitable[object]], *, lost: bool) -> None:
        super().__init__()
        self._through = through
        self._operation = operation
        self._happens = happens
        self._lost = lost

    async def call(
        self, service: str, operation: str, *, region: str | None = None, **parameters: Any
    ) -> Mapping[str, Any]:
        if operation != self._operation:
            return await self._through.call(service, operation, region=region, **parameters)
        self._operation = ""
        if not self._lost:
            await self._happens()
            return await self._through.call(service, operation, region=region, **parameters)
        await self._through.call(service, operation, region=region, **parameters)
        await self._happens()
        raise AwsError(service, "ConnectionClosedError", "", status=None)


async def test_a_lost_claim_stands_beside_callbacks_that_came_meanwhile(
    scene: Scene, straight: Aws, table: str, name: str
) -> None:
    async def called_back() -> None:
        for _ in range(6):
            await scene.seen.table.call_back(Callback(row_id=RowId(name), subject=None))

    await scene.seen.table.add(row(name))
    aws = Interrupted(straight, "update_item", called_back, lost=True)
    async with opened(aws, table, Clock()) as store:
        (mine,) = await store.table.claim(1, only=[RowId(name)])
    assert await scene.row(name) == mine
    assert (mine.token, mine.claims, mine.callbacks) == (1, 1, 6)


async def test_a_lost_callback_counts_once_beside_those_that_came_meanwhile(
    scene: Scene, straight: Aws, table: str, name: str
) -> None:
    async def called_back() -> None:
        for _ in range(2):
            await scene.seen.table.call_back(Callback(row_id=RowId(name), subject=None))

    await scene.seen.table.add(row(name))
    async with opened(Interrupted(straight, "update_item", called_back, lost=True), table, Clock()) as store:
        await store.table.call_back(Callback(row_id=RowId(name), subject=None))
    assert (await scene.row(name)).callbacks == 3


async def test_a_statement_that_another_was_quicker_than_is_repeated_alone(
    scene: Scene, straight: Aws, table: str, emulator: Emulator
) -> None:
    names = [RowId(emulator.name("job")) for _ in range(4)]
    for each in names:
        await scene.seen.table.add(row(each))

    async def claimed() -> None:
        assert len(await scene.seen.table.claim(1, only=names[:1])) == 1

    aws = Interrupted(straight, "batch_execute_statement", claimed, lost=False)
    async with opened(aws, table, Clock()) as store:
        calls = (store.table.call_back(Callback(row_id=each, subject=None)) for each in [*names, *names])
        assert set(await asyncio.gather(*calls)) == {Heard.COUNTED}
    standing = [await scene.row(each) for each in names]
    assert [(each.callbacks, each.token) for each in standing] == [(2, 1), (2, 0), (2, 0), (2, 0)]


async def test_trouble_names_the_table_and_nothing_that_was_to_be_written(scene: Scene, name: str, table: str) -> None:
    words = {
        "ThrottlingException": f"the job table {table} is asked too much",
        "AccessDeniedException": f"AWS does not allow GetItem on the job table {table}",
        "ResourceNotFoundException": f"the job table {table}, or an index of it, is not there",
        "ValidationException": f"the job table {table} did not take GetItem",
    }
    for code, sentence in words.items():
        scene.fail("GetItem", {"error": {"code": code, "status": 400}})
        with pytest.raises(StoreTrouble, match=sentence) as told:
            await scene.store.table.add(row(name, facts={"secret": "sesame"}))
        assert "sesame" not in str(told.value)
        assert name not in str(told.value)


@pytest.mark.parametrize("refusal", ["UnknownOperationException", "AccessDeniedException", "ValidationException"])
async def test_without_statements_callbacks_go_one_by_one(scene: Scene, emulator: Emulator, refusal: str) -> None:
    names = [RowId(emulator.name("job")) for _ in range(6)]
    for each in names:
        await scene.seen.table.add(row(each))
    scene.fail("BatchExecuteStatement", {"error": {"code": refusal, "status": 400}}, times=9)
    for _ in range(2):
        calls = (scene.store.table.call_back(Callback(row_id=each, subject=None)) for each in names)
        assert set(await asyncio.gather(*calls)) == {Heard.COUNTED}
    assert {(await scene.row(each)).callbacks for each in names} == {2}
    assert len(scene.faulty.fired()) == 1, "it is remembered"


DAMAGED = {
    "flipped": {"response": {"corrupt_bytes": 3}},
    "unlike its checksum": {"response": {"set_headers": {"x-amz-crc32": "1"}}},
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
async def test_an_answer_that_came_damaged_is_none(scene: Scene, name: str, damage: Mapping[str, Any]) -> None:
    await held(scene, name)
    for operation, act in {
        "GetItem": lambda: scene.store.table.call_back(Callback(row_id=RowId(name), subject=None)),
        "Query": lambda: scene.store.table.claim(1),
    }.items():
        scene.fail(operation, damage, times=9)
        with pytest.raises(StoreTrouble):
            await act()
    scene.fail("UpdateItem", damage)
    assert await scene.store.table.call_back(Callback(row_id=RowId(name), subject=None)) is Heard.COUNTED
    assert (await scene.row(name)).callbacks == 1


@pytest.mark.parametrize("code", ["TransactionConflictException", "ConditionalCheckFailedException"])
async def test_what_only_writes_can_meet_is_trouble_to_a_read(scene: Scene, name: str, code: str) -> None:
    refused = {"error": {"code": code, "status": 400}}
    await held(scene, name)
    scene.fail("GetItem", refused)
    with pytest.raises(StoreTrouble):
        await scene.store.table.call_back(Callback(row_id=RowId(name), subject=None))
    scene.fail("Query", refused)
    with pytest.raises(StoreTrouble):
        await scene.store.table.claim(1)


async def test_a_look_that_failed_is_no_look(scene: Scene, through: Aws, table: str, name: str) -> None:
    await scene.seen.table.add(row(name))
    async with opened(through, table, Clock(), ages=replace(CURRENT, look_every=60.0)) as store:
        scene.fail("Query", TOO_MUCH, times=99)
        for _ in range(3):
            with pytest.raises(StoreTrouble):
                await store.table.claim(1)
        scene.faulty.clear()
        assert name in {each.id for each in await store.table.claim(99)}
