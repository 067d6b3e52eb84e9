"""Watching jobs until they have ended."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from service.cli.progress import Progress
from service.cli.standing import Standing, standing
from service.engine.row import Row, RowId
from service.ports.store import Jobs

EACH_ROUND: Final = 200
"""Jobs that are looked at in one round; of more, each has its turn."""

IDLE_AFTER: Final = 10.0
"""Seconds that due work lies about before we say that nobody does it."""

NOBODY: Final = "no service seems to be running: start one with `afterword serve` (in another terminal, in this folder)"


async def follow(
    jobs: Jobs,
    ids: Sequence[RowId],
    progress: Progress,
    *,
    clock: Callable[[], float],
    every: float = 0.3,
    idle_after: float = IDLE_AFTER,
) -> Mapping[RowId, Row | None]:
    """Show how the jobs come on until all have ended; their last rows, None for one that is not in the store.

    `clock` gives epoch seconds. Says once that no service seems to be running when due work lies about for `idle_after`
    seconds while none of the jobs is worked on. Raises StoreTrouble.
    """
    rows: dict[RowId, Row | None] = {}
    shown: dict[RowId, Standing] = {}
    queue = list(dict.fromkeys(ids))
    told, moved_at = False, clock()
    while queue:
        turn, queue = queue[:EACH_ROUND], queue[EACH_ROUND:]
        for row_id in turn:
            before, row = rows.get(row_id), await jobs.get(row_id)
            rows[row_id] = row
            if row is None:
                continue
            if before is not None and (before.updated_at, before.token) != (row.updated_at, row.token):
                moved_at = clock()
            shown[row_id] = standing(row)
            if not row.ended:
                queue.append(row_id)
        progress.show(list(shown.values()))
        if not told and _idle(list(rows.values()), moved_at, clock(), idle_after):
            told = True
            progress.say(NOBODY)
        if queue:
            await asyncio.sleep(every)
    return rows


def _idle(rows: Sequence[Row | None], moved_at: float, now: float, idle_after: float) -> bool:
    """Whether something has been due for so long, and nothing has moved meanwhile."""
    waiting = [row for row in rows if row is not None and not row.ended]
    if any(row.lease_until > now for row in waiting) or now - moved_at < idle_after:
        return False
    return any(max(row.due_at or now, row.claimable_at) <= now - idle_after for row in waiting)
