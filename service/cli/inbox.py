"""What already waits in the drops folder: the next start bills what has no results yet."""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.adapters.drops.grounds import waiting
from service.cli.configuration import context_for, store_stands
from service.domain.errors import Refused
from service.domain.identity import file_uri
from service.domain.pipeline import Pipelines
from service.engine.errors import StoreTrouble
from service.ports.store import Jobs
from service.settings.groups import DropsPlace, JobStore
from service.settings.load import Settings

LOOKUPS_AT_MOST: Final = 20_000


@dataclass(frozen=True, kw_only=True)
class Inbox:
    """Recordings and bytes that are new to the job store; `at_most`: some of them may be known to it."""

    folder: Path
    recordings: int
    bytes: int
    at_most: bool


async def waiting_in(settings: Settings, pipelines: Pipelines | None) -> Inbox | None:
    """What the service would take in at its start; None where the settings do not say where, or it cannot be read.

    What no pipeline takes is left out, as far as the pipelines are known.
    """
    if DropsPlace not in settings.groups:
        return None
    folder = settings.inbox
    if folder is None:
        return None
    async with AsyncExitStack() as opened:
        jobs = await _jobs(settings, opened)
        recordings = total = looked = 0
        try:
            for key, size in _taken(folder, settings.own_places(folder), pipelines):
                looked += 1
                if jobs is None or looked > LOOKUPS_AT_MOST or not await _known(jobs, folder, key, size):
                    recordings, total = recordings + 1, total + size
        except (OSError, Refused, StoreTrouble):
            # The probes tell of it.
            return None
    return Inbox(
        folder=folder, recordings=recordings, bytes=total, at_most=pipelines is None or looked > LOOKUPS_AT_MOST
    )


async def _jobs(settings: Settings, opened: AsyncExitStack) -> Jobs | None:
    """None while there is nothing that could know a recording: looking must not make a store."""
    if JobStore not in settings.groups or not store_stands(settings):
        return None
    try:
        context = await opened.enter_async_context(context_for(settings, Pipelines(pipelines=())))
        counts = await context.ports.jobs.counts()
    except (StoreTrouble, Refused):
        return None
    return context.ports.jobs if counts else None


def _taken(folder: Path, ours: Sequence[Path], pipelines: Pipelines | None) -> Iterator[tuple[str, int]]:
    root = folder.resolve()
    for key, size in waiting(folder, ours):
        if pipelines is None or pipelines.match(key, file_uri(str(root / key))):
            yield key, size


async def _known(jobs: Jobs, folder: Path, key: str, size: int) -> bool:
    """By the name that the intake gave it."""
    return bool(await jobs.find(f"file:{key}:{size}:{(folder / key).stat().st_mtime_ns}"))
