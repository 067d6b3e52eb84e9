"""Recordings by the thousand, read page by page: each once, even while those read before are sent on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.cli.configuration import context_for
from service.cli.finished import PAGE, Selection, looked_into
from service.domain.job import Status
from service.domain.pipelines.file import load
from service.engine.row import Lane, RowId
from service.settings.load import Settings
from service.stages.context import Context
from service.stages.reanalyze import Alone, Reason
from tests.cli.desk import PIPELINES
from tests.cli.rows import row
from tests.standin import KEY

pytestmark = pytest.mark.anyio

MANY = 2 * PAGE + 7
EVERY = Selection(names=(), pipeline="calls", since=None, until=None, key=None)


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[Context]:
    (tmp_path / "pipelines.toml").write_text(PIPELINES)
    settings = Settings.load(
        {
            "ASSEMBLYAI_API_KEY": KEY,
            "AFTERWORD_JOBS": f"sqlite:///{tmp_path}/jobs.db",
            "AFTERWORD_RESULTS": str(tmp_path / "results"),
            "AFTERWORD_PIPELINES": str(tmp_path / "pipelines.toml"),
        }
    )
    async with context_for(settings, load(tmp_path / "pipelines.toml").pipelines) as known:
        rows = [
            row(f"job-{number}", Status.PUBLISHED, created_at=float(number % 100), updated_at=1000.0)
            for number in range(MANY)
        ]
        await asyncio.gather(*(known.ports.table.add(each) for each in rows))
        yield known


async def test_each_of_many_is_looked_into_once_while_they_are_sent_on(context: Context) -> None:
    seen: Counter[RowId] = Counter()
    async for some in looked_into(EVERY, context):
        seen.update(each.row.id for each in some)
        for each in some[:1]:
            await context.ports.table.reopen(each.row.id, Status.TRANSCRIBED, each.row.facts, Lane.BACKFILL)
    assert len(seen) == seen.total() == MANY


async def test_only_what_arrived_in_between_is_looked_into(context: Context) -> None:
    between = replace(EVERY, since=10.0, until=19.0)
    found = [each async for some in looked_into(between, context) for each in some]
    assert {each.row.created_at for each in found} == {float(second) for second in range(10, 20)}
    assert len(found) == sum(10 <= number % 100 < 20 for number in range(MANY))
    assert {each.reason for each in found if isinstance(each, Alone)} == {Reason.NO_TRANSCRIPT}
