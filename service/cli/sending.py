"""Sending jobs on, and events again."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import typer

from service.cli.complaints import FAILED, refusal, sentences
from service.cli.configuration import context_for, pipelines_for
from service.cli.figures import count
from service.cli.listing import Wanted, chosen, named
from service.cli.screen import columns, note, out, out_json
from service.domain.errors import Refused
from service.domain.job import Status
from service.domain.pipeline import Pipelines
from service.engine.row import Lane, Row
from service.settings.load import Settings
from service.stages.context import Context
from service.stages.republish import republish
from service.stages.retry import retry

MANY: Final = 100
"""More than so many are sent on behind what just arrived."""

AT_ONCE: Final = 100_000


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Which jobs to send on: those named, or without a name all that failed `since` (epoch seconds)."""

    names: Sequence[str]
    since: float | None
    repin: bool
    yes: bool


async def retried(settings: Settings, order: Retry, *, json: bool) -> int:
    """Each of the jobs on its next run; the exit code."""
    pipelines = pipelines_for(settings) if order.repin else Pipelines(pipelines=())
    async with context_for(settings, pipelines) as context:
        rows = await _rows(order, context)
        if not order.names and not _agreed(rows, order):
            note("nothing was sent on")
            return FAILED
        lane = Lane.FRESH if len(rows) <= MANY else Lane.BACKFILL

        async def send(row: Row) -> Mapping[str, object]:
            if order.repin:
                _still_there(row, pipelines)
            again = await retry(row, context, repin=order.repin, lane=lane)
            return {"job_id": again.id, "run": again.facts.get("run"), "status": again.status}

        return await _each(rows, send, json=json)


async def republished(settings: Settings, names: Sequence[str], run: int | None, *, json: bool) -> int:
    """The events of each of the jobs again; the exit code."""
    async with context_for(settings, Pipelines(pipelines=())) as context:
        rows = [await named(context.ports.jobs, name) for name in dict.fromkeys(names)]

        async def send(row: Row) -> Mapping[str, object]:
            return {"job_id": row.id, "event_id": (await republish(row, context, run)).id}

        return await _each(rows, send, json=json)


async def _rows(order: Retry, context: Context) -> Sequence[Row]:
    jobs = context.ports.jobs
    if order.names:
        return [await named(jobs, name) for name in dict.fromkeys(order.names)]
    wanted = Wanted(statuses=[Status.FAILED], pipeline=None, since=order.since, limit=AT_ONCE)
    return [row async for row in chosen(jobs, wanted)]


def _agreed(rows: Sequence[Row], order: Retry) -> bool:
    """Raises Refused where nobody can be asked."""
    if not rows or order.yes:
        return True
    if not sys.stdin.isatty():
        what = f"{count(len(rows), 'failed job')} would be sent on, and nobody can be asked"
        raise refusal("--failed", what, "say --yes, or look first with `afterword jobs list --failed`")
    return typer.confirm(f"Send {count(len(rows), 'failed job')} on their next run?", err=True)


def _still_there(row: Row, pipelines: Pipelines) -> None:
    name = str(row.facts.get("pipeline"))
    if pipelines.get(name) is None:
        cure = "bring it back, or leave --repin out"
        raise refusal(row.id, f"the pipelines file has no pipeline {name} any more", cure)


async def _each(rows: Sequence[Row], send: Callable[[Row], Awaitable[Mapping[str, object]]], *, json: bool) -> int:
    """One that is refused does not keep the others back."""
    done: list[Mapping[str, object]] = []
    refused: list[str] = []
    for row in rows:
        try:
            done.append(await send(row))
        except Refused as error:
            refused += sentences(error)
    if json:
        out_json({"done": done, "refused": refused})
    for line in [] if json else columns([[str(value) for value in each.values()] for each in done]):
        out(line)
    for sentence in refused:
        note(f"error: {sentence}")
    note(f"{count(len(done), 'job')} done" + (f", {len(refused)} refused" if refused else ""))
    return FAILED if refused else 0
