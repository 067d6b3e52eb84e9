"""`afterword usage`: what each pipeline used on each day."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from service.cli.complaints import refusal
from service.cli.configuration import context_for, settings_for, standing_store
from service.cli.figures import count
from service.cli.screen import columns, note, out, out_json
from service.domain import durations
from service.domain.durations import DAY, HOUR
from service.domain.pipeline import Pipelines
from service.domain.use.books import totals
from service.domain.use.limits import month, next_month
from service.domain.use.usage import NANO, dollars
from service.engine.row import Entry
from service.ports.store import Books
from service.settings.groups import JobStore
from service.settings.load import Settings

TITLES: Final = ("day", "pipeline", "recordings", "audio hours", "requests", "tokens in", "tokens out", "estimated $")
LONGEST: Final = 400 * DAY


def register(app: typer.Typer) -> None:
    app.command("usage")(usage)


def usage(
    *,
    since: Annotated[str, typer.Option(metavar="30d", help="Only the days within that time; 400d at most.")] = "30d",
    pipeline: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this pipeline.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """What each pipeline used on each day (UTC), and about what it cost by list prices."""
    now = time.time()
    first = _first(since, now)
    settings = settings_for(JobStore)
    standing_store(settings)
    entries = asyncio.run(_entries(settings, first, now, pipeline))
    if json:
        out_json([view(entry) for entry in entries])
        return
    for line in lines(entries):
        out(line)
    unknown = totals(entries)
    if unknown["unpriced_requests"] or unknown["unpriced_audio_seconds"]:
        hours = unknown["unpriced_audio_seconds"] / HOUR
        note(f"without a known price: {count(unknown['unpriced_requests'], 'request')}, {hours:.2f} hours of sound")


async def between(books: Books, first: float, last: float, pipeline: str | None) -> Sequence[Entry]:
    """The entries of the days from one moment to another (epoch seconds), by day. Raises StoreTrouble."""
    day, at, found = datetime.fromtimestamp(first, tz=UTC).date().isoformat(), first, list[Entry]()
    while month(at) <= month(last):
        found += [entry for entry in await books.month(month(at), pipeline) if entry.day >= day]
        at = next_month(at)
    return found


def lines(entries: Sequence[Entry]) -> Sequence[str]:
    """For people."""
    if not entries:
        return ["nothing was used in that time"]
    rows = [_row(entry.day, entry.account, entry) for entry in entries]
    whole = Entry(account="", day="", amounts=totals(entries))
    return columns([TITLES, *rows, _row("all", f"{len({entry.account for entry in entries})}", whole)])


def view(entry: Entry) -> dict[str, object]:
    """For machines."""
    amounts = totals([entry])
    told = {name: amount for name, amount in amounts.items() if name != "nanodollars"}
    cost = {"estimated_cost": dollars(amounts["nanodollars"])}
    return {"day": entry.day, "pipeline": entry.account, **told, **cost}


def _row(day: str, pipeline: str, entry: Entry) -> Sequence[str]:
    amounts = totals([entry])
    counts = (f"{amounts[name]:,}" for name in ("requests", "input_tokens", "output_tokens"))
    hours, cost = amounts["audio_seconds"] / HOUR, amounts["nanodollars"] / NANO
    return day, pipeline, f"{amounts['recordings']:,}", f"{hours:,.2f}", *counts, f"{cost:,.4f}"


def _first(since: str, now: float) -> float:
    try:
        seconds = durations.seconds(since)
    except ValueError as error:
        raise refusal(f"--since {since}", f"that is {error}", "write it like 30d or 12h") from None
    return now - min(seconds, LONGEST)


async def _entries(settings: Settings, first: float, now: float, pipeline: str | None) -> Sequence[Entry]:
    async with context_for(settings, Pipelines(pipelines=())) as context:
        return await between(context.ports.books, first, now, pipeline)
