"""`afterword jobs`: list, show, retry, reanalyze, republish."""

import asyncio
import time
from typing import Annotated

import typer

from service.cli import reanalysis, sending
from service.cli.complaints import refusal
from service.cli.configuration import settings_for, standing_store
from service.cli.finished import Selection
from service.cli.listing import Wanted, listed
from service.cli.showing import shown
from service.domain import durations
from service.domain.globs import BadGlob, Glob, parse
from service.domain.job import Status
from service.settings.groups import Allowance, EventsPlace, JobStore, PipelinesPlace, ResultsPlace

Json = Annotated[bool, typer.Option("--json", help="The result as JSON.")]
Since = Annotated[str | None, typer.Option(metavar="2d", help="Only what changed within that time.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A job id, a transcript id or a recording's URI.")]


def register(app: typer.Typer) -> None:
    jobs = typer.Typer(
        help="List, show, retry, reanalyze, republish jobs. A job is named by its id, transcript id or recording URI.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    jobs.command("list")(list_jobs)
    jobs.command("show", short_help="One job: its timeline, answers, files, and what it waits for.")(show)
    jobs.command("retry", short_help="Send failed jobs on their next run.")(retry)
    jobs.command("reanalyze", short_help="Ask the prompts of today of recordings that have been through.")(reanalyze)
    jobs.command("republish")(republish)
    app.add_typer(jobs, name="jobs")


def list_jobs(
    *,
    status: Annotated[list[Status] | None, typer.Option(help="Only of this status; may be repeated.")] = None,
    pipeline: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this pipeline.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only failed ones.")] = False,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="So many at most.")] = 50,
    json: Json = False,
) -> None:
    """Jobs, newest first."""
    statuses = {*(status or ()), *([Status.FAILED] if failed else ())}
    wanted = Wanted(statuses=sorted(statuses) or None, pipeline=pipeline, since=_since(since), limit=limit)
    settings = settings_for(JobStore)
    standing_store(settings)
    asyncio.run(listed(settings, wanted, json=json))


def show(name: Name, *, json: Json = False) -> None:
    """One job: its timeline, answers and files, what it waits for, and what sends it on."""
    settings = settings_for(JobStore, ResultsPlace, PipelinesPlace)
    standing_store(settings)
    asyncio.run(shown(settings, name, json=json))


def retry(
    name: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Which jobs.")] = None,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="All that have failed.")] = False,
    since: Since = None,
    repin: Annotated[bool, typer.Option("--repin", help="Bind them to the pipelines of today.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --failed.")] = False,
    json: Json = False,
) -> None:
    """Send failed jobs on their next run; what was paid for is used again."""
    if bool(name) == failed:
        raise typer.BadParameter("name the jobs, or say --failed")
    if since is not None and not failed:
        raise typer.BadParameter("--since goes with --failed")
    settings = settings_for(JobStore, PipelinesPlace)
    standing_store(settings)
    order = sending.Retry(names=name or (), since=_since(since), repin=repin, yes=yes)
    raise typer.Exit(asyncio.run(sending.retried(settings, order, json=json)))


def reanalyze(
    name: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Which jobs.")] = None,
    *,
    pipeline: Annotated[str | None, typer.Option(metavar="NAME", help="All of this pipeline.")] = None,
    since: Annotated[str | None, typer.Option(metavar="90d", help="Only what arrived within that time.")] = None,
    until: Annotated[str | None, typer.Option(metavar="7d", help="Only what arrived before that time.")] = None,
    key: Annotated[str | None, typer.Option(metavar="GLOB", help="Only of such keys, as in `match`.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be asked.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until all have ended; 1 if one failed.")] = False,
    json: Json = False,
) -> None:
    """Ask the prompts of today of recordings that have been through: only what has no answer yet, nothing transcribed.

    Each recording of which something new is asked gets a further run, with its own result and event.
    """
    narrowed = any(each is not None for each in (pipeline, since, until, key))
    if bool(name) == narrowed:
        raise typer.BadParameter("name the jobs, or say which with --pipeline, --since, --until or --key ('**' is all)")
    settings = settings_for(JobStore, PipelinesPlace, ResultsPlace, Allowance)
    standing_store(settings)
    selection = Selection(
        names=name or (), pipeline=pipeline, since=_since(since), until=_since(until, "--until"), key=_glob(key)
    )
    order = reanalysis.Order(selection=selection, dry_run=dry_run, yes=yes, wait=wait, json=json)
    raise typer.Exit(asyncio.run(reanalysis.reanalyzed(settings, order)))


def republish(
    name: Annotated[list[str], typer.Argument(metavar="NAME...", help="Which jobs.")],
    *,
    run: Annotated[int | None, typer.Option(min=1, metavar="N", help="Of this run; the last one by default.")] = None,
    json: Json = False,
) -> None:
    """Send the same event again, to the byte."""
    settings = settings_for(JobStore, ResultsPlace, EventsPlace)
    standing_store(settings)
    raise typer.Exit(asyncio.run(sending.republished(settings, name, run, json=json)))


def _since(text: str | None, option: str = "--since") -> float | None:
    if text is None:
        return None
    try:
        return time.time() - durations.seconds(text)
    except ValueError as error:
        raise refusal(f"{option} {text}", f"that is {error}", "write it like 2d, 12h or 30m") from None


def _glob(text: str | None) -> Glob | None:
    try:
        return None if text is None else parse(text)
    except BadGlob as error:
        raise refusal(f"--key {text}", error.what, error.cure) from None
