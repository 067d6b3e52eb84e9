"""Trying each thing that the service will need; nothing that is tried leaves a trace."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import httpx2
from anyio import to_thread

from service.adapters.assemblyai.catalogue import LiveCatalogue
from service.adapters.assemblyai.client import open_client
from service.adapters.assemblyai.transcripts import Transcripts
from service.adapters.aws import Aws
from service.adapters.jobs.sqlite_schema import wal_reset_bug
from service.cli import aws_probes
from service.cli.configuration import context_for
from service.cli.rotation import unverifiable
from service.cli.tried import Tried
from service.domain.errors import AccountTrouble, Refused, ServiceError
from service.domain.models.fitness import fitness
from service.domain.objects import ObjectPlace
from service.domain.pipeline import Pipelines
from service.domain.pipelines.file import Loaded
from service.engine.errors import StoreTrouble
from service.settings.groups import Callbacks, DropsPlace, EventsPlace, JobStore, ResultsPlace, Vendor
from service.settings.load import Settings
from service.settings.places import Folder, JsonLines, Sqlite

WITHIN: Final = 10.0
REFUSED: Final = 400
TROUBLE: Final = 500
NOT_GENUINE: Final = 401
CALLBACK: Final = "/callbacks/check"


async def probe(settings: Settings, recordings: Sequence[ObjectPlace] = (), loaded: Loaded | None = None) -> Tried:
    """Try what the settings at hand name, all at once, that the `recordings` can be read, and the models of `loaded`.

    A missing group is passed over.
    """
    tried = Tried()
    aws = Aws(attempts=aws_probes.ATTEMPTS, within=aws_probes.WITHIN)
    with closing(aws):
        async with open_client() as client:
            await asyncio.gather(
                to_thread.run_sync(_files, settings, tried),
                aws_probes.probe(settings, recordings, aws, tried),
                _vendor(settings, loaded, client, tried),
            )
        # Once it is known that the table can be asked at all.
        if not any(each.place in {"AFTERWORD_JOBS", *aws_probes.PLACES} for each in tried.problems):
            await _store(settings, aws, tried)
    return tried


def _files(settings: Settings, tried: Tried) -> None:
    groups = settings.groups
    if ResultsPlace in groups and isinstance(settings.results.place, Folder):
        _results(settings.results.place.path, tried)
    if EventsPlace in groups and isinstance(settings.events.place, JsonLines):
        _events(settings.events.place.path, tried)
    if DropsPlace in groups and isinstance(settings.drops.place, Folder):
        _drops(settings.drops.place.path, tried)


async def _vendor(settings: Settings, loaded: Loaded | None, client: httpx2.AsyncClient, tried: Tried) -> None:
    if Vendor in settings.groups:
        await _key(settings, client, tried)
        if await _gateway(settings, client, tried) and loaded is not None:
            await _models(settings, loaded, client, tried)
    if Callbacks in settings.groups and settings.callbacks.public_url:
        await _public(settings.callbacks.public_url, client, tried)


async def _store(settings: Settings, aws: Aws, tried: Tried) -> None:
    """Whether the store opens, and whether what it holds goes with the settings."""
    if JobStore not in settings.groups:
        return
    place = settings.jobs.place
    if isinstance(place, Sqlite) and not await to_thread.run_sync(_openable, place.path, tried):
        return
    try:
        async with context_for(settings, Pipelines(pipelines=()), aws) as context:
            await context.ports.jobs.counts()
            if Callbacks in settings.groups:
                tried.problems += await unverifiable(context.ports.jobs, settings.callbacks)
    except StoreTrouble as trouble:
        cures = "mend the file and its permissions", "mend the way to AWS, or what may be done there"
        tried.bad("AFTERWORD_JOBS", str(trouble), f"{cures[not isinstance(place, Sqlite)]}, or name another one")
    except Refused as refused:
        tried.problems += refused.problems


def _openable(path: Path, tried: Tried) -> bool:
    """Whether there is a file to be opened; a missing one the service makes, but not its folder."""
    place = "AFTERWORD_JOBS"
    if wal_reset_bug(_sqlite()):
        what = f"SQLite {sqlite3.sqlite_version} may corrupt a store that several processes write (its WAL-reset bug)"
        tried.doubt(place, what, "use 3.44.6, 3.50.7, 3.51.3 or newer, or keep other processes from the store")
    if path.exists():
        return True
    if not os.access(path.parent, os.W_OK | os.X_OK):
        tried.bad(place, f"its folder {path.parent} is not there or not writable", "make it, or name another file")
    return False


def _sqlite() -> tuple[int, int, int]:
    major, minor, patch = sqlite3.sqlite_version_info[:3]
    return major, minor, patch


def _results(folder: Path, tried: Tried) -> None:
    place, standing = "AFTERWORD_RESULTS", _standing(folder)
    if not standing.is_dir():
        tried.bad(place, f"{standing} is no folder", "name a folder, or move that away")
        return
    beside = standing / f".afterword-check-{os.getpid()}"
    try:
        with beside.open("xb") as file:
            file.write(b"a file of `afterword check`; it may be removed\n")
            os.fsync(file.fileno())
    except OSError as error:
        tried.bad(place, f"{standing} cannot be written to ({error.strerror})", "mend its permissions, or name another")
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _events(path: Path, tried: Tried) -> None:
    place, cure = "AFTERWORD_EVENTS", "mend that, or name another file"
    if path.exists():
        if not path.is_file():
            tried.bad(place, f"{path} is no regular file", cure)
            return
        try:
            path.open("r+b").close()
        except OSError as error:
            tried.bad(place, f"{path} cannot be appended to ({error.strerror})", cure)
        return
    standing = _standing(path.parent)
    if not standing.is_dir() or not os.access(standing, os.W_OK | os.X_OK):
        tried.bad(place, f"no file can be made in {standing}", cure)


def _drops(folder: Path, tried: Tried) -> None:
    place, cure = "AFTERWORD_DROPS", "mend that, or name another folder"
    if not folder.exists():
        standing = _standing(folder)
        if not standing.is_dir() or not os.access(standing, os.W_OK | os.X_OK):
            tried.bad(place, f"the folder is not there and cannot be made in {standing}", cure)
        return
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except OSError as error:
        tried.bad(place, f"{folder} cannot be read ({error.strerror})", cure)


async def _key(settings: Settings, client: httpx2.AsyncClient, tried: Tried) -> None:
    vendor = settings.vendor
    try:
        await Transcripts(client, vendor.assemblyai_url, vendor.api_key).recent()
    except AccountTrouble as trouble:
        tried.bad("ASSEMBLYAI_API_KEY", f"it is refused ({trouble.message})", _right_region(settings))
    except ServiceError as error:
        cure = "see that the host is right and can be reached from here"
        tried.bad("AFTERWORD_ASSEMBLYAI_URL", f"AssemblyAI cannot be asked ({error})", cure)


def _right_region(settings: Settings) -> str:
    return f"copy it anew from the dashboard of the region {settings.vendor.region}, or change AFTERWORD_REGION"


async def _gateway(settings: Settings, client: httpx2.AsyncClient, tried: Tried) -> bool:
    """Whether there is one; that it has trouble of its own is not ours to mend."""
    place, cure = "AFTERWORD_LLM_GATEWAY_URL", "see that the host is right and can be reached from here"
    url = settings.vendor.llm_gateway_url
    status = await _status(client, f"{url}/v1/models")
    if status is None:
        tried.bad(place, f"the LLM Gateway does not answer at {url}", cure)
    elif REFUSED <= status < TROUBLE:
        tried.bad(place, f"{url} answers /v1/models with {status}, which no LLM Gateway does", cure)
    return status is not None and not REFUSED <= status < TROUBLE


async def _models(settings: Settings, loaded: Loaded, client: httpx2.AsyncClient, tried: Tried) -> None:
    vendor = settings.vendor
    catalogue = LiveCatalogue(client, vendor.llm_gateway_url, vendor.api_key)
    try:
        await catalogue.refresh()
    except ServiceError as error:
        what = f"the catalogue of models cannot be had now ({error}), so the prompts' models are not compared with it"
        tried.doubt("AFTERWORD_LLM_GATEWAY_URL", what, "run `afterword check` again later")
    if catalogue.models is not None:
        found = fitness(loaded.pipelines, loaded.whereabouts, catalogue.models, time.time())
        tried.problems += found.problems
        tried.warnings += found.warnings


async def _public(url: str, client: httpx2.AsyncClient, tried: Tried) -> None:
    # A balancer may pass on callbacks and nothing else, and this is none: whoever says so is the service.
    status = await _status(client, url.rstrip("/") + CALLBACK, method="POST")
    if status != NOT_GENUINE:
        what = f"{CALLBACK} does not answer there" if status is None else f"{CALLBACK} answers {status} there"
        cure = "start the service; if it runs, mend the way to it: AssemblyAI calls back there"
        tried.doubt("AFTERWORD_PUBLIC_URL", what, cure)


async def _status(client: httpx2.AsyncClient, url: str, method: str = "GET") -> int | None:
    """None when nothing answers; bodies are not read."""
    try:
        async with client.stream(method, url, timeout=WITHIN) as answer:
            return answer.status_code
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return None


def _standing(path: Path) -> Path:
    """The nearest folder above that is there: what is missing below it is made when first needed."""
    return next(each for each in (path, *path.parents) if os.path.lexists(each))
