"""`afterword submit`: recordings by name."""

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from service.cli import backfill
from service.cli.complaints import FAILED, refusal
from service.cli.configuration import context_for, pipelines_for, settings_for, store_stands
from service.cli.handover import Handover
from service.cli.screen import note, out, out_json
from service.cli.submission import Order, concluded, ended, read, submitted, unlooked
from service.domain import targets
from service.domain.targets import Target
from service.settings.groups import DropsPlace, EventsPlace, JobStore, PipelinesPlace, ResultsPlace
from service.wiring import amazon, intake

Named = Annotated[
    list[str],
    typer.Argument(metavar="TARGET...", show_default=False, help="A path, s3://…, https://… or transcript:ID."),
]


def register(app: typer.Typer) -> None:
    app.command("submit")(submit)


def submit(
    target: Named,
    *,
    pipeline: Annotated[str | None, typer.Option(metavar="NAME", help="Take this pipeline, matched or not.")] = None,
    metadata: Annotated[list[str] | None, typer.Option(metavar="K=V", help="source.metadata.K for prompts.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Make another job of a known recording.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until all have ended; 1 if one failed.")] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Targets are folders, or s3:// prefixes.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --recursive.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Hand over recordings: files, objects, URLs, existing transcripts, or with --recursive whole folders and prefixes.

    A recording that is known already is not made a second job of: its job is told, unless --again is given.
    """
    named = targets.parse(target)
    settings = settings_for(JobStore, PipelinesPlace, DropsPlace, ResultsPlace, EventsPlace)
    with amazon() as aws:
        order = Order(
            settings=settings,
            pipelines=pipelines_for(settings),
            pipeline=pipeline,
            metadata=targets.metadata(metadata or ()),
            again=secrets.token_hex(16) if again else None,
            dry_run=dry_run,
            wait=wait,
            json=json,
            base=Path.cwd().resolve(),
            aws=aws,
        )
        if pipeline is not None and order.pipelines.get(pipeline) is None:
            known = ", ".join(each.name for each in order.pipelines.pipelines)
            raise refusal(f"--pipeline {pipeline}", "there is no such pipeline", f"choose one of {known}")
        raise typer.Exit(asyncio.run(_all(named, order, yes=yes) if recursive else _each(named, order)))


async def _each(named: Sequence[Target], order: Order) -> int:
    """All of them or, if one cannot be meant, none."""
    found = await read(named, order)
    if order.dry_run and not store_stands(order.settings):
        return await concluded([unlooked(each, order) for each in found], order, None)
    async with context_for(order.settings, order.pipelines, order.aws) as context:
        drop = intake(context, wake=lambda _: None)
        return await concluded([await submitted(each, order, context, drop) for each in found], order, context)


async def _all(named: Sequence[Target], order: Order, *, yes: bool) -> int:
    """All that is in them, once somebody has agreed to it."""
    places = backfill.places(named, order)
    survey = await backfill.survey(places, order)
    if order.dry_run:
        if order.json:
            out_json({"dry_run": True} | survey.view())
        else:
            for line in survey.lines():
                out(line)
            further = f"; {backfill.left_alone(survey)}" if survey.unmatched else ""
            note(f"nothing was handed over{further}")
        return 0
    if not backfill.agreed(survey, yes=yes):
        note("nothing was handed over")
        return FAILED
    async with context_for(order.settings, order.pipelines, order.aws) as context:
        done = Handover(order, survey.recordings)
        try:
            await backfill.hand_over(places, order, context, intake(context, wake=lambda _: None), done)
        finally:
            done.tell()
            note(done.summary())
        code = await ended(done.jobs, order, context)
        return code if done.complete else FAILED
