"""`afterword status`: what is where, what is due and what waits."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from service.cli.configuration import context_for, read_pipelines, settings_for, standing_store
from service.cli.figures import count, lasting, when
from service.cli.screen import columns, note, out, out_json
from service.cli.standing import CURES
from service.domain.errors import Refused
from service.domain.job import Status
from service.domain.masking import told
from service.domain.pipeline import Pipelines
from service.domain.times import rfc3339
from service.ports import Closed, Count, Lately
from service.settings.groups import JobStore, PipelinesPlace
from service.settings.load import Settings

ORDER = tuple(Status)
RATE_OVER = 600.0
"""Seconds over which the rate is taken that a backlog is measured by."""
OURS = frozenset({Status.RECEIVED, Status.TRANSCRIBED, Status.DECIDED})
"""Where a job waits for us, and not for the vendor."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What the store says now (epoch seconds), and the digest of the pipelines file; None if that is not to be had."""

    now: float
    counts: Sequence[Count]
    lately: Lately
    closed: Sequence[Closed]
    digest: str | None

    def total(self, status: str) -> int:
        return sum(each.rows for each in self.counts if each.status == status)

    @property
    def due(self) -> int:
        return sum(each.due for each in self.counts)

    @property
    def parked(self) -> int:
        return sum(each.parked for each in self.counts)

    @property
    def backlog(self) -> float | None:
        """Seconds until what waits for us is done at the rate of the last ten minutes; None while there is no rate."""
        waiting = sum(each.rows for each in self.counts if each.status in OURS)
        if not waiting:
            return 0.0
        return waiting * RATE_OVER / self.lately.ended if self.lately.ended else None

    @property
    def oldest_due_at(self) -> float | None:
        return min((each.oldest_due_at for each in self.counts if each.oldest_due_at is not None), default=None)


def register(app: typer.Typer) -> None:
    app.command("status")(status)


def status(*, json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False) -> None:
    """Jobs by status and lane, what is due, which gates are shut and why."""
    settings = settings_for(JobStore, PipelinesPlace)
    standing_store(settings)
    found = asyncio.run(_looked(settings))
    if json:
        out_json(view(found))
        return
    for line in lines(found):
        out(line)
    if found.total(Status.FAILED):
        note("which failed, and why: afterword jobs list --failed")


async def _looked(settings: Settings) -> Overview:
    async with context_for(settings, Pipelines(pipelines=())) as context:
        jobs, gates = context.ports.jobs, context.ports.gates
        now = time.time()
        return Overview(
            now=now,
            counts=await jobs.counts(),
            lately=await jobs.lately(now - RATE_OVER),
            closed=await gates.closed(),
            digest=_digest(settings),
        )


def _digest(settings: Settings) -> str | None:
    """Of the file as it is now; `afterword check` says what is wrong with one that has none."""
    try:
        return read_pipelines(settings).pipelines.digest
    except Refused:
        return None


def lines(found: Overview) -> Sequence[str]:
    """For people."""
    shown = sorted(found.counts, key=lambda each: (_place(each.status), each.lane))
    rows = [(each.status, each.lane, f"{each.rows:,}", _due(each), _parked(each)) for each in shown]
    table = columns([("status", "lane", "jobs", "due now", "parked"), *rows]) if rows else ["no jobs yet"]
    oldest = found.oldest_due_at
    facts = [
        ("due now", count(found.due, "job") + (f", the oldest since {when(oldest, found.now)}" if oldest else "")),
        ("backlog", _backlog(found.backlog)),
        ("parked", count(found.parked, "job")),
        ("failed", count(found.total(Status.FAILED), "job")),
        (
            "last callback",
            when(found.lately.last_callback_at, found.now) if found.lately.last_callback_at else "none yet",
        ),
        ("pipelines", found.digest or "the file cannot be read: see `afterword check`"),
    ]
    return [*table, "", *columns(facts), *(_gate(each, found.now) for each in found.closed)]


def view(found: Overview) -> dict[str, object]:
    """For machines."""
    return {
        "at": rfc3339(found.now),
        "jobs": [
            {"status": each.status, "lane": each.lane, "jobs": each.rows, "due": each.due, "parked": each.parked}
            for each in found.counts
        ],
        "due": found.due,
        "oldest_due_at": None if found.oldest_due_at is None else rfc3339(found.oldest_due_at),
        "backlog_seconds": found.backlog,
        "parked": found.parked,
        "last_callback_at": None if found.lately.last_callback_at is None else rfc3339(found.lately.last_callback_at),
        "failed": found.total(Status.FAILED),
        "shut_gates": [
            {
                "gate": each.gate,
                "since": rfc3339(each.since),
                "next_probe_at": rfc3339(each.next_probe_at),
                "reason": told(each.reason),
            }
            for each in found.closed
        ],
        "pipelines_digest": found.digest,
    }


def _backlog(seconds: float | None) -> str:
    if seconds is None:
        return "unknown: no job has ended in the last ten minutes"
    return f"about {lasting(seconds)} at the rate of the last ten minutes" if seconds else "none"


def _gate(closed: Closed, now: float) -> str:
    cure = CURES.get(closed.gate, "the work goes on by itself once it passes")
    reason = told(closed.reason).rstrip(".")
    return f"the gate {closed.gate} has been shut since {when(closed.since, now)}: {reason}; {cure}"


def _place(status: str) -> int:
    return ORDER.index(Status(status)) if status in ORDER else len(ORDER)


def _due(each: Count) -> str:
    return f"{each.due:,}" if each.due else "-"


def _parked(each: Count) -> str:
    return f"{each.parked:,}" if each.parked else "-"
