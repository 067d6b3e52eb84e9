"""The recordings that a person means when they ask new questions of old ones."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from service.cli.listing import named
from service.cli.standing import facts
from service.domain.globs import Glob, matches
from service.domain.job import Status
from service.engine.row import Row
from service.ports.store import Jobs
from service.stages.context import Context
from service.stages.reanalyze import Alone, Due, considered

PAGE: Final = 500

AT_ONCE: Final = 10
"""Recordings whose answers are read at the same time."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Those named, or without a name all that ended and fit. Times are epoch seconds: when the recording arrived."""

    names: Sequence[str]
    pipeline: str | None
    since: float | None
    until: float | None
    key: Glob | None


async def looked_into(selection: Selection, context: Context) -> AsyncIterator[Sequence[Due | Alone]]:
    """What would be asked of each recording that is meant, a few at a time, the newest first.

    However many there are, only a page of them is in memory. Raises Refused, Unavailable, StoreTrouble.
    """
    async for page in _pages(selection, context.ports.jobs):
        for first in range(0, len(page), AT_ONCE):
            yield await asyncio.gather(*(considered(row, context) for row in page[first : first + AT_ONCE]))


async def _pages(selection: Selection, jobs: Jobs) -> AsyncIterator[Sequence[Row]]:
    if selection.names:
        rows = [await named(jobs, name) for name in dict.fromkeys(selection.names)]
        yield list({row.id: row for row in rows}.values())
        return
    after = None
    while True:
        # What arrived since then was not written before then either.
        page = await jobs.page(
            statuses=[Status.PUBLISHED, Status.FAILED], since=selection.since, limit=PAGE, after=after
        )
        yield [row for row in page if _fits(row, selection)]
        if len(page) < PAGE:
            return
        after = page[-1].id


def _fits(row: Row, selection: Selection) -> bool:
    if selection.since is not None and row.created_at < selection.since:
        return False
    if selection.until is not None and row.created_at > selection.until:
        return False
    if selection.pipeline is not None and row.facts.get("pipeline") != selection.pipeline:
        return False
    job = facts(row)
    return selection.key is None or job is None or matches(selection.key, job.recording.key, job.recording.uri)
