"""`afterword jobs`: list, show, retry, republish."""

import asyncio
import time
from typing import Annotated

import typer

from service.cli import sending
from service.cli.complaints import refusal
from service.cli.configuration import settings_for, standing_store
from service.cli.listing import Wanted, listed
from service.cli.showing import shown
from service.domain import durations
from service.domain.job import Status
from service.settings.groups import EventsPlace, JobStore, PipelinesPlace, ResultsPlace

Json = Annotated[bool, typer.Option("--json", help="The result as JSON.")]
Since = Annotated[str | None, typer.Option(metavar="2d", help="Only what changed within that time.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A job id, a transcript id or a recording's URI.")]


def register(app: typer.Typer) -> None:
    jobs = typer.Typer(
        help="List, show, retry and republish jobs. A job is named by its id, transcript id or recording URI.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    jobs.command("list")(list_jobs)
    jobs.command("show", short_help="One job: its timeline, answers, files, and what it waits for.")(show)
    jobs.command("retry", short_help="Send failed jobs on their next run.")(retry)
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


def _since(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return time.time() - durations.seconds(text)
    except ValueError as error:
        raise refusal(f"--since {text}", f"that is {error}", "write it like 2d, 12h or 30m") from None
