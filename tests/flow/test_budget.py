"""Replicas that share one allowance: all of it is used, hardly anything is refused, and no job fails for want of it."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from service.domain.job import Status
from service.domain.models.allowance import Window
from tests.adapters.jobs_table import made
from tests.longrun.processes import beside
from tests.premises import Premises, until
from tests.standin import QUICK, ledger, running

pytestmark = pytest.mark.anyio

MODEL = "claude-sonnet-4-6"
LIMIT = 30
SECONDS = 3.0
JOBS = 15
PIPELINES = f"""
[defaults]
model = "{MODEL}"
max_tokens = 50

[[pipelines]]
name = "calls"
match = ["**/*.wav"]
""" + "".join(
    f'[[pipelines.prompts]]\nname = "p{number}"\nprompt = "{number}: {{{{ transcript }}}}"\n' for number in range(4)
)


class Replica(Premises):
    """Another process's settings on the same premises."""

    def __init__(self, first: Premises) -> None:
        self.__dict__ |= vars(first)
        self.environment = {**first.environment, **beside(first)}


def windows(asks: Sequence[Any]) -> list[int]:
    """How many requests each of the vendor's windows took."""
    counts: list[int] = []
    ends = 0.0
    for at in sorted(datetime.fromisoformat(ask["at"]).timestamp() for ask in asks):
        if at >= ends:
            counts.append(0)
            ends = at + SECONDS
        counts[-1] += 1
    return counts


@pytest.mark.parametrize("engine", ["sqlite", "dynamodb"])
async def test_three_replicas_use_what_the_account_allows_and_are_not_refused(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    jobs = {} if engine == "sqlite" else {"AFTERWORD_JOBS": f"dynamodb://{made(request.getfixturevalue('emulator'))}"}
    with running(replace(QUICK, gateway_limit=LIMIT, gateway_window_seconds=SECONDS)) as standin:
        premises = Premises(tmp_path, standin, **jobs)
        premises.pipelines(PIPELINES)
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(premises.store())
            # The model was asked before, so that how much it takes is known.
            await store.budgets.change(MODEL, lambda _: Window(heard=True, limit=LIMIT, length=SECONDS))
            for replica in (premises, Replica(premises), Replica(premises)):
                await stack.enter_async_context(replica.serving())
            for number in range(JOBS):
                premises.drop(f"{number}.wav", f"This is number {number}.")

            async def some_wait() -> bool:
                return sum(each.rows for each in await store.queues.depths()) > 0

            await until(some_wait)
            await premises.heard(JOBS)
            await asyncio.sleep(0)
            rows = await store.jobs.page()
            depths = await store.queues.depths()
        found = ledger(standin)
    assert {row.status for row in rows} <= {Status.PUBLISHED, Status.DECIDED}
    assert {event["data"]["outcome"] for event in premises.events()} == {"complete"}
    assert not [row for row in rows if row.facts.get("prompt_trouble")], "waiting is no attempt"
    assert depths == []
    assert sum(each["count"] for each in found["refused"]) <= 0.01 * 4 * JOBS
    taken = windows(found["asks"])
    assert sum(taken) == 4 * JOBS
    assert sum(taken) >= 0.95 * LIMIT * len(taken), taken
