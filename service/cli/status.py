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
from service.cli.standing import cure_of
from service.domain.errors import Refused
from service.domain.job import Status
from service.domain.masking import told
from service.domain.pipeline import Pipelines
from service.domain.times import rfc3339
from service.ports.budget import Standing
from service.ports.store import Closed, Count
from service.settings.groups import Allowance, JobStore, PipelinesPlace
from service.settings.load import Settings
from service.stages.overview import Overview, overview

ORDER = tuple(Status)


@dataclass(frozen=True, kw_only=True)
class Picture(Overview):
    """All that is shown: also the gates that are shut, and the pipelines file's digest; None if there is none."""

    closed: Sequence[Closed]
    digest: str | None


def register(app: typer.Typer) -> None:
    app.command("status")(status)


def status(*, json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False) -> None:
    """Jobs by status and lane, what is due, who waits for which model, which gates are shut and why."""
    settings = settings_for(JobStore, PipelinesPlace, Allowance)
    standing_store(settings)
    found = asyncio.run(_looked(settings))
    if json:
        out_json(view(found))
        return
    for line in lines(found):
        out(line)
    if found.failed:
        note("which failed, and why: afterword jobs list --failed")


async def _looked(settings: Settings) -> Picture:
    async with context_for(settings, Pipelines(pipelines=())) as context:
        seen = await overview(context.ports.jobs, context.ports.budget, time.time())
        return Picture(
            now=seen.now,
            counts=seen.counts,
            lately=seen.lately,
            models=seen.models,
            closed=await context.ports.gates.closed(),
            digest=_digest(settings),
        )


def _digest(settings: Settings) -> str | None:
    """Of the file as it is now; `afterword check` says what is wrong with one that has none."""
    try:
        return read_pipelines(settings).pipelines.digest
    except Refused:
        return None


def lines(found: Picture) -> Sequence[str]:
    """For people."""
    shown = sorted(found.counts, key=lambda each: (_place(each.status), each.lane))
    rows = [(each.status, each.lane, f"{each.rows:,}", _due(each), _parked(each)) for each in shown]
    table = columns([("status", "lane", "jobs", "due now", "parked"), *rows]) if rows else ["no jobs yet"]
    oldest = found.oldest_due_at
    facts = [
        ("due now", count(found.due, "job") + (f", the oldest since {when(oldest, found.now)}" if oldest else "")),
        ("backlog", _backlog(found.backlog)),
        ("queued", count(found.queued, "job")),
        ("parked", count(found.parked, "job")),
        ("over a limit", count(found.limited, "job")),
        ("failed", count(found.failed, "job")),
        (
            "last callback",
            when(found.lately.last_callback_at, found.now) if found.lately.last_callback_at else "none yet",
        ),
        ("pipelines", found.digest or "the file cannot be read: see `afterword check`"),
    ]
    return [*table, "", *columns(facts), *_models(found), *(_gate(each, found.now) for each in found.closed)]


def view(found: Picture) -> dict[str, object]:
    """For machines."""
    return {
        "at": rfc3339(found.now),
        "jobs": [
            {
                "status": each.status,
                "lane": each.lane,
                "jobs": each.rows,
                "due": each.due,
                "parked": each.parked,
                "limited": each.limited,
            }
            for each in found.counts
        ],
        "due": found.due,
        "oldest_due_at": None if found.oldest_due_at is None else rfc3339(found.oldest_due_at),
        "backlog_seconds": found.backlog,
        "parked": found.parked,
        "limited": found.limited,
        "queued": found.queued,
        "models": [
            {
                "model": each.model,
                "allowance": each.allowance,
                "used": each.granted,
                "next_window_at": None if each.ends_at is None else rfc3339(each.ends_at),
                "queued": each.queued,
                "queued_requests": each.requests,
                "backlog_seconds": each.seconds,
            }
            for each in found.models
        ],
        "last_callback_at": None if found.lately.last_callback_at is None else rfc3339(found.lately.last_callback_at),
        "failed": found.failed,
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
    return f"about {lasting(seconds)} at the present rate" if seconds else "none"


def _models(found: Picture) -> Sequence[str]:
    """What may be asked of each model, and who waits for that."""
    if not found.models:
        return []
    titles = ("model", "used", "next window", "queued", "requests", "backlog")
    return ["", *columns([titles, *(_model(each, found.now) for each in found.models)])]


def _model(each: Standing, now: float) -> Sequence[str]:
    return (
        each.model,
        f"{each.granted:,} of {each.allowance:,}" if each.allowance is not None else "no limit known",
        f"in {lasting(each.ends_at - now)}" if each.ends_at is not None else "-",
        f"{each.queued:,}" if each.queued else "-",
        f"{each.requests:,}" if each.requests else "-",
        lasting(each.seconds) if each.queued else "-",
    )


def _gate(closed: Closed, now: float) -> str:
    cure = cure_of(closed.gate) or "the work goes on by itself once it passes"
    reason = told(closed.reason).rstrip(".")
    return f"the gate {closed.gate} has been shut since {when(closed.since, now)}: {reason}; {cure}"


def _place(status: str) -> int:
    return ORDER.index(Status(status)) if status in ORDER else len(ORDER)


def _due(each: Count) -> str:
    return f"{each.due:,}" if each.due else "-"


def _parked(each: Count) -> str:
    return f"{each.parked:,}" if each.parked else "-"
