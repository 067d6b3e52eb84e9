"""What a job may ask now: what is ready together is taken together, and what is not spent is given back."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from service.domain.job import Status
from service.domain.models.allowance import Granted
from service.engine.errors import StoreTrouble
from service.engine.row import Row, RowId
from service.stages.asking.purse import Purse, Queued

pytestmark = pytest.mark.anyio

ROW = Row(id=RowId("job"), status=Status.TRANSCRIBED, created_at=1.0, updated_at=1.0, due_at=1.0)


@dataclass
class Allowed:
    """So many requests are left of every model; what was taken and given back is remembered."""

    left: int = 99
    taken: list[tuple[str, int]] = field(default_factory=list)
    back: list[tuple[str, int]] = field(default_factory=list)
    trouble: bool = False

    async def take(self, model: str, wanted: int, *, newcomer: Row | None = None) -> Granted:
        assert newcomer is ROW
        self.taken.append((model, wanted))
        await asyncio.sleep(0)
        if self.trouble:
            raise StoreTrouble("the store is away")
        count = min(wanted, self.left)
        self.left -= count
        return Granted(count=count, wait=0.0 if count == wanted else 7.0, opened_at=1.0)

    async def give_back(self, model: str, granted: Granted) -> None:
        self.back.append((model, granted.count))


async def spent(purse: Purse, model: str, prepares: float = 0.0) -> str:
    """Somebody who spends after so long; what came of it."""
    with purse.hand() as hand:
        await asyncio.sleep(prepares)
        try:
            await hand.spend(model)
        except Queued as queued:
            return f"waits {queued.wait:g} s for {queued.model}"
        return "asks"


async def found(purse: Purse) -> None:
    """Somebody whose answer is there already."""
    with purse.hand():
        await asyncio.sleep(0.01)


async def test_what_becomes_ready_one_after_the_other_is_taken_in_one_write() -> None:
    allowed = Allowed()
    purse = Purse(ROW, {}, allowed)
    became = await asyncio.gather(*(spent(purse, "m", prepares=number / 100) for number in range(4)), found(purse))
    assert became[:4] == ["asks"] * 4
    assert allowed.taken == [("m", 4)]


async def test_who_takes_long_to_get_ready_is_not_waited_for_without_end() -> None:
    allowed = Allowed()
    purse = Purse(ROW, {}, allowed)
    slow = asyncio.ensure_future(spent(purse, "m", prepares=30.0))
    assert await asyncio.wait_for(spent(purse, "m"), 10) == "asks"
    slow.cancel()
    assert allowed.taken == [("m", 1)]


async def test_each_model_is_asked_for_by_itself_and_who_gets_nothing_waits() -> None:
    allowed = Allowed(left=2)
    purse = Purse(ROW, {}, allowed)
    became = await asyncio.gather(*(spent(purse, model) for model in ("a", "a", "a", "b")))
    assert became == ["asks", "asks", "waits 7 s for a", "waits 7 s for b"]
    assert sorted(allowed.taken) == [("a", 3), ("b", 1)]


async def test_what_was_granted_in_the_queue_is_spent_first_and_the_rest_given_back() -> None:
    allowed = Allowed()
    purse = Purse(ROW, {"m": Granted(count=3, wait=0.0, opened_at=1.0)}, allowed)
    assert await asyncio.gather(spent(purse, "m"), spent(purse, "m")) == ["asks", "asks"]
    await purse.close()
    assert (allowed.taken, allowed.back) == ([], [("m", 1)])


async def test_who_is_gone_when_it_is_granted_spends_nothing() -> None:
    allowed = Allowed()
    purse = Purse(ROW, {}, allowed)
    gone, stays = (asyncio.ensure_future(spent(purse, "m")) for _ in range(2))
    while not allowed.taken:
        await asyncio.sleep(0)
    gone.cancel()
    assert await stays == "asks"
    await purse.close()
    assert allowed.back == [("m", 1)]


async def test_the_stores_trouble_is_everybodys() -> None:
    purse = Purse(ROW, {}, Allowed(trouble=True))
    became = await asyncio.gather(*(spent(purse, "m") for _ in range(2)), return_exceptions=True)
    assert [type(each) for each in became] == [StoreTrouble] * 2


async def test_what_is_lost_with_a_broken_store_breaks_nothing_else() -> None:
    class Away(Allowed):
        async def give_back(self, model: str, granted: Granted) -> None:
            raise StoreTrouble("the store is away")

    purse = Purse(ROW, {"m": replace(Granted(count=3, wait=0.0, opened_at=1.0))}, Away())
    await purse.close()
