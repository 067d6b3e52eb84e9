"""New questions to old recordings: counted first, then sent on at a bounded rate, as often as you like."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import typer

from service.cli.complaints import FAILED, refusal
from service.cli.configuration import context_for, pipelines_for
from service.cli.estimate import Estimate
from service.cli.figures import count
from service.cli.finished import Selection, looked_into
from service.cli.following import follow
from service.cli.progress import progress
from service.cli.screen import columns, note, out, out_json
from service.domain.job import Status
from service.domain.models.allowance import LIMIT, Window, allowance
from service.domain.models.allowance import Terms as Allowances
from service.engine.row import Row, RowId
from service.settings.load import Settings
from service.stages.context import Context
from service.stages.reanalyze import Due, reanalyze

A_SECOND: Final = 50.0
"""Recordings that are sent on at most: the questions of years must not crowd out what arrives meanwhile."""

TELL_EVERY: Final = 100
"""Recordings between two lines about how far we are."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """Which recordings, and what to do about them."""

    selection: Selection
    dry_run: bool
    yes: bool
    wait: bool
    json: bool


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A recording on its next run, and the prompts that it will be asked."""

    row_id: RowId
    run: int
    prompts: Sequence[str]
    key: str


async def reanalyzed(settings: Settings, order: Order) -> int:
    """Today's prompts over the recordings that are meant; the exit code.

    Repeated after whatever stopped it, it goes on: what is on its way, or has been through, is left alone.
    """
    pipelines = pipelines_for(settings)
    if (name := order.selection.pipeline) is not None and pipelines.get(name) is None:
        known = ", ".join(each.name for each in pipelines.pipelines)
        raise refusal(f"--pipeline {name}", "the pipelines file has no such pipeline", f"choose one of {known}")
    async with context_for(settings, pipelines) as context:
        estimate = await _estimated(order, Allowances(share=settings.allowance.llm_share), context)
        if order.dry_run:
            return _only_told(estimate, order)
        if not _agreed(estimate, order):
            note("nothing was sent on")
            return FAILED
        return await _concluded(await _sent(estimate, order, context), estimate, order, context)


async def _estimated(order: Order, terms: Allowances, context: Context) -> Estimate:
    told = {each.model: each.allowance for each in await context.ports.budget.standings() if each.allowance}
    estimate = Estimate(allowances=told, otherwise=allowance(Window(limit=LIMIT), terms) or LIMIT)
    async for some in looked_into(order.selection, context):
        for each in some:
            estimate.count(each)
    return estimate


def _only_told(estimate: Estimate, order: Order) -> int:
    if order.json:
        out_json({"dry_run": True} | estimate.view())
        return 0
    for line in estimate.lines():
        out(line)
    for line in estimate.notes():
        note(line)
    note("nothing was sent on")
    return 0


def _agreed(estimate: Estimate, order: Order) -> bool:
    """Whether to go on, after the figures have been shown. Raises Refused where nobody can be asked."""
    for line in (*estimate.lines(), *estimate.notes()):
        note(line)
    if order.yes or not estimate.recordings:
        return True
    if not sys.stdin.isatty():
        what = f"{count(estimate.requests, 'request')} would be made and billed, and nobody can be asked"
        raise refusal("reanalyze", what, "say --yes, or look first with --dry-run")
    return typer.confirm("Ask them? Each recording gets a further run, with its own result and event.", err=True)


async def _sent(estimate: Estimate, order: Order, context: Context) -> Sequence[Sent]:
    """What was sent on; kept only where `--json` or `--wait` needs it, so that memory does not grow with the number."""
    loop, done, kept = asyncio.get_running_loop(), 0, list[Sent]()
    async for some in looked_into(order.selection, context):
        due = [each for each in some if isinstance(each, Due)]
        earliest = loop.time() + len(due) / A_SECOND
        for sent in await asyncio.gather(*(_one(each, context) for each in due)):
            if sent is None:
                continue
            done += 1
            if order.json or order.wait:
                kept.append(sent)
            if not order.json:
                _tell(sent)
            if done % TELL_EVERY == 0:
                note(f"{done:,} of {count(estimate.recordings, 'recording')}")
        await asyncio.sleep(earliest - loop.time())
    then = "" if order.wait or not done else "; `afterword status` tells how far they are"
    note(f"{count(done, 'recording')} sent on{then}")
    return kept


async def _one(due: Due, context: Context) -> Sent | None:
    row = await reanalyze(due, context)
    if row is None:
        return None
    names = [question.prompt for question in due.questions]
    return Sent(row_id=row.id, run=due.job.run + 1, prompts=names, key=due.job.recording.key)


def _tell(sent: Sent) -> None:
    (line,) = columns([(sent.row_id, f"run {sent.run}", ", ".join(sent.prompts), sent.key)])
    out(line)


async def _concluded(sent: Sequence[Sent], estimate: Estimate, order: Order, context: Context) -> int:
    rows: Mapping[RowId, Row | None] = {}
    if order.wait:
        with progress() as shown:
            rows = await follow(context.ports.jobs, [each.row_id for each in sent], shown, clock=context.clock)
    if order.json:
        out_json({"dry_run": False} | estimate.view() | {"jobs": [_view(each, rows) for each in sent]})
    return FAILED if any(row is not None and row.status == Status.FAILED for row in rows.values()) else 0


def _view(sent: Sent, rows: Mapping[RowId, Row | None]) -> Mapping[str, object]:
    shown = {"job_id": sent.row_id, "run": sent.run, "asked": list(sent.prompts), "key": sent.key}
    row = rows.get(sent.row_id)
    return shown if row is None else shown | {"status": row.status}
