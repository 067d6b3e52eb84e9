"""What counts against a row: its own crashes, never the store's trouble."""

import pytest

from service.engine.errors import StoreTrouble
from service.engine.hold import Hold
from service.engine.row import Save
from tests.engine.test_workers import Bench, bench, released, row, standing, until

pytestmark = pytest.mark.anyio
__all__ = ["bench"]


@pytest.mark.parametrize(("error", "claims"), [(StoreTrouble("unreadable"), 0), (KeyError("a bug"), 9)])
async def test_only_what_a_row_does_itself_is_counted_against_it(bench: Bench, error: Exception, claims: int) -> None:
    store = await bench.store()
    await store.table.add(row(status="looked", claims=8))

    async def run(hold: Hold) -> Save:
        raise error

    async with bench.working(store, run):
        await until(released(store))
        left = await standing(store)
    assert left.claims == claims
    assert left.due_at is not None
    assert left.due_at > bench.clock.now
