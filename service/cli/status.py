"""`afterword status`: what is where, what is due and what waits."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from service.cli.configuration import context_for, settings_for, standing_store
from service.cli.figures import count, when
from service.cli.screen import columns, note, out, out_json
from service.cli.standing import CURES
from service.domain.errors import Refused
from service.domain.job import Status
from service.domain.masking import told
from service.domain.pipeline import Pipelines
from service.domain.pipelines.file import load as load_pipelines
from service.domain.times import rfc3339
from service.ports import Closed, Count
from service.settings.groups import JobStore, PipelinesPlace
from service.settings.load import Settings

ORDER = tuple(Status)


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What the store says now (epoch seconds), and the digest of the pipelines file; None if that is not to be had."""

    now: float
    counts: Sequence[Count]
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
        return Overview(
            now=time.time(), counts=await jobs.counts(), closed=await gates.closed(), digest=_digest(settings)
        )


def _digest(settings: Settings) -> str | None:
    """Of the file as it is now; `afterword check` says what is wrong with one that has none."""
    try:
        return load_pipelines(settings.pipelines.path).pipelines.digest
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
        ("parked", count(found.parked, "job")),
        ("failed", count(found.total(Status.FAILED), "job")),
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
        "parked": found.parked,
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


def _gate(closed: Closed, now: float) -> str:
    cure = CURES.get(closed.gate, "the work goes on by itself once it passes")
    return f"the gate {closed.gate} has been shut since {when(closed.since, now)}: {told(closed.reason)}; {cure}"


def _place(status: str) -> int:
    return ORDER.index(Status(status)) if status in ORDER else len(ORDER)


def _due(each: Count) -> str:
    return f"{each.due:,}" if each.due else "-"


def _parked(each: Count) -> str:
    return f"{each.parked:,}" if each.parked else "-"
