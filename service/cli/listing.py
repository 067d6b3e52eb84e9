"""Jobs in a table, and the jobs that a name means."""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from service.cli.complaints import refusal
from service.cli.configuration import context_for
from service.cli.figures import ago, count
from service.cli.screen import columns, note, out, out_json
from service.cli.standing import standing
from service.domain.pipeline import Pipelines
from service.domain.views import view
from service.engine.row import Row
from service.ports.store import Jobs
from service.settings.load import Settings

PAGE = 500


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which jobs. `since` in epoch seconds; None: any."""

    statuses: Sequence[str] | None
    pipeline: str | None
    since: float | None
    limit: int


async def listed(settings: Settings, wanted: Wanted, *, json: bool) -> None:
    """Print them, newest first."""
    async with context_for(settings, Pipelines(pipelines=())) as context:
        rows = [row async for row in chosen(context.ports.jobs, wanted)]
    if json:
        out_json([view(row) for row in rows])
        return
    now = time.time()
    for line in columns([_line(row, now) for row in rows]):
        out(line)
    cut = f" (the newest; more with --limit {wanted.limit * 10})" if len(rows) == wanted.limit else ""
    note(count(len(rows), "job") + cut)


async def chosen(jobs: Jobs, wanted: Wanted) -> AsyncIterator[Row]:
    """The jobs that are wanted, newest first, page by page. Raises StoreTrouble."""
    left, after = wanted.limit, None
    while left:
        page = await jobs.page(statuses=wanted.statuses, since=wanted.since, limit=PAGE, after=after)
        for row in page:
            if left and (wanted.pipeline is None or row.facts.get("pipeline") == wanted.pipeline):
                left -= 1
                yield row
        if len(page) < PAGE:
            return
        after = page[-1].id


async def named(jobs: Jobs, name: str) -> Row:
    """The one job of that name. Raises Refused when there is none, or there are several."""
    rows = await jobs.find(name)
    if not rows:
        cure = "`afterword jobs list` shows what there is; a name is a job id, a transcript id or a recording's URI"
        raise refusal(name, "no job has that name", cure)
    if len(rows) > 1:
        ids = ", ".join(row.id for row in rows[:10]) + (" and more" if len(rows) > 10 else "")  # noqa: PLR2004
        raise refusal(name, f"{len(rows)} jobs have that name", f"name one by its id: {ids}")
    return rows[0]


def _line(row: Row, now: float) -> Sequence[str]:
    shown = standing(row)
    pipeline = str(row.facts.get("pipeline", "-"))
    return row.id, row.status, pipeline, ago(row.updated_at, now), shown.name, shown.more
