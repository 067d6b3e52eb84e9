"""Callbacks on their way to the table, where the moments between two of them matter."""

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from service.adapters.aws import Aws
from service.adapters.jobs import dynamodb_callbacks
from service.adapters.jobs.dynamodb_callbacks import BATCHES_AT_ONCE, Callbacks
from service.adapters.jobs.dynamodb_calls import Calls
from service.adapters.jobs.dynamodb_heard import LastHeard
from service.adapters.jobs.dynamodb_notes import NoteBook
from service.adapters.jobs.dynamodb_writes import Writes
from service.domain.job import STEPS
from service.engine.errors import StoreTrouble
from service.engine.row import Callback, Heard, RowId
from tests.contract.storing import DAY, Clock

pytestmark = pytest.mark.anyio


class Held(Aws):
    """A table that holds nothing, and answers once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    async def call(self, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]:
        await self.let.wait()
        return {}


def over(aws: Aws) -> Callbacks:
    clock = Clock()
    calls = Calls(aws, "jobs", clock=clock)
    writes = Writes(calls, keep=DAY, random=Random(1))
    return Callbacks(writes, NoteBook(writes, clock), LastHeard(calls, clock), steps=STEPS, clock=clock)


@pytest.mark.parametrize("turns", range(20))
async def test_a_callback_that_comes_as_all_others_have_just_gone_goes_too(turns: int) -> None:
    aws = Held()
    callbacks = over(aws)
    out = []
    for number in range(BATCHES_AT_ONCE):
        out.append(asyncio.create_task(callbacks.call_back(Callback(row_id=RowId(f"job{number}"), subject="tr"))))
        for _ in range(3):
            await asyncio.sleep(0)
    aws.let.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(1):
        assert await callbacks.call_back(Callback(row_id=RowId("last"), subject="tr")) is Heard.UNKNOWN
        assert await asyncio.gather(*out) == [Heard.UNKNOWN] * BATCHES_AT_ONCE
    await callbacks.close()


async def test_at_the_end_a_table_that_hangs_is_waited_for_once_and_not_for_each_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dynamodb_callbacks, "FINISH_WITHIN", 0.01)
    aws = Held()
    callbacks = over(aws)
    sent = []
    for number in range(BATCHES_AT_ONCE + 1):
        sent.append(asyncio.create_task(callbacks.call_back(Callback(row_id=RowId(f"job{number}"), subject="tr"))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    closing = asyncio.create_task(callbacks.close())
    async with asyncio.timeout(1):
        with pytest.raises(StoreTrouble):
            await sent[-1]
        assert not closing.done()
        aws.let.set()
        assert await asyncio.gather(*sent[:-1]) == [Heard.UNKNOWN] * BATCHES_AT_ONCE
        await closing
