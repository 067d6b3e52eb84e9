"""From settings to ports: the only module that imports adapters."""

import random
import time
from asyncio import Semaphore
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, assert_never

from service.adapters import missing
from service.adapters.assemblyai.catalogue import LiveCatalogue
from service.adapters.assemblyai.client import open_client
from service.adapters.assemblyai.gateway import Gateway
from service.adapters.assemblyai.in_work import InWork
from service.adapters.assemblyai.renditions import Renditions
from service.adapters.assemblyai.transcripts import Transcripts
from service.adapters.aws import Aws
from service.adapters.budget.fleet import FleetBudget
from service.adapters.drops import objects
from service.adapters.drops.describe import describe
from service.adapters.drops.folder import Folder as FolderDrops
from service.adapters.drops.queue import QueueDrops
from service.adapters.events.jsonl import JsonlEvents
from service.adapters.events.sns import SnsEvents
from service.adapters.jobs.dynamodb import open_table_store
from service.adapters.jobs.sqlite import open_store
from service.adapters.pipelines import InBucket
from service.adapters.recordings.by_kind import ByKind
from service.adapters.recordings.files import Files
from service.adapters.recordings.objects import Objects
from service.adapters.results.bucket import BucketResults, limits
from service.adapters.results.folder import FolderResults
from service.domain.errors import Problem, Refused
from service.domain.job import STEPS, JobId, Recording
from service.domain.models.allowance import Terms as Allowances
from service.domain.objects import ObjectPlace, ours
from service.domain.pipeline import Pipelines
from service.domain.pipelines.file import Loaded, load, load_from
from service.domain.places import FOLDER, Limits
from service.domain.retry import Retry
from service.domain.tally import Tally
from service.ports.places import Drops, Events, Results
from service.ports.ports import Ports
from service.ports.store import Store
from service.settings.load import Settings
from service.settings.places import Bucket, DynamoTable, Folder, JsonLines, Queue, Sqlite, TomlFile, Topic
from service.stages.asking.purse import Grants
from service.stages.asking.refusals import Refusals
from service.stages.completions import Completions
from service.stages.context import Context, Terms
from service.stages.drop import Drop
from service.stages.holdback import Holdback
from service.stages.polls import Polls
from service.stages.room import Room
from service.stages.spending import Spending

Amazon = Aws

UNHEARD: Final = 8
"""Questions that may be out to a model before its first answer has told how many it takes."""
DOCUMENTS: Final = 8
"""Whole transcripts in memory at once, outside of the client that reads them."""


@contextmanager
def amazon() -> Iterator[Aws]:
    """AWS, for whatever engine of its is configured; nothing is imported or asked before it is needed."""
    aws = Aws()
    try:
        yield aws
    finally:
        aws.close()


def read_pipelines(settings: Settings) -> Loaded:
    """The pipelines file, wherever it lies. Raises Refused."""
    match settings.pipelines.place:
        case TomlFile(path=path):
            return load(path)
        case ObjectPlace() as place:
            with amazon() as aws:
                return load_from(InBucket(aws, place))
        case other:
            assert_never(other)


async def refuse_missing(settings: Settings, aws: Aws) -> None:
    """Raises Refused with all that AWS says for certain is not there; the table, `opened_store` asks for."""
    asked: list[Awaitable[Sequence[Problem]]] = []
    if isinstance(place := settings.results.place, Bucket):
        asked.append(missing.bucket(aws, place.name, place.prefix))
    if isinstance(source := settings.drops.place, Queue):
        asked.append(missing.queue(aws, source.url))
    if isinstance(told := settings.events.place, Topic):
        asked.append(missing.topic(aws, told.arn))
    if problems := await missing.all_of(asked):
        raise Refused(problems)


def opened_store(settings: Settings, aws: Aws) -> AbstractAsyncContextManager[Store]:
    """The job store alone. Raises StoreTrouble, Refused."""
    lease, dice = settings.work.lease, random.Random()  # noqa: S311  # picks among rows, keeps no secret
    match settings.jobs.place:
        case Sqlite(path=path):
            return open_store(path, steps=STEPS, lease=lease, clock=time.time, random=dice)
        case DynamoTable(name=name):
            keep = settings.jobs.keep_jobs
            return open_table_store(aws, name, steps=STEPS, lease=lease, keep=keep, clock=time.time, random=dice)
        case other:
            assert_never(other)


@asynccontextmanager
async def wired(
    settings: Settings, pipelines: Pipelines, store: Store, aws: Aws, tally: Tally
) -> AsyncIterator[Context]:
    """Everything a stage needs, over an open store. Needs every group of settings but the listeners'."""
    async with open_client() as client:
        vendor, in_work = settings.vendor, InWork()
        allowances = Allowances(share=settings.allowance.llm_share, unheard=UNHEARD)
        budget = FleetBudget(store.budgets, store.queues, terms=allowances, clock=time.time)
        ports = Ports(
            table=store.table,
            jobs=store.jobs,
            pins=store.pins,
            gates=store.gates,
            books=store.books,
            transcriber=Transcripts(client, vendor.assemblyai_url, vendor.api_key, in_work, clock=time.time),
            renditions=Renditions(client, vendor.assemblyai_url, vendor.api_key, in_work),
            language_model=Gateway(client, vendor.llm_gateway_url, vendor.api_key, observe=budget.observe),
            catalogue=LiveCatalogue(client, vendor.llm_gateway_url, vendor.api_key),
            budget=budget,
            recordings=ByKind(Files(time.time), Objects(aws, lifetime=settings.work.url_lifetime)),
            results=_results(settings, aws),
            events=_events(settings, aws),
        )
        context = Context(
            ports=ports,
            terms=terms(settings),
            pipelines=pipelines,
            polls=Polls(time.monotonic),
            holdback=Holdback(time.monotonic),
            room=Room(time.monotonic),
            spending=Spending(time.monotonic),
            completions=Completions(),
            refusals=Refusals(time.monotonic),
            grants=Grants(),
            tally=tally,
            clock=time.time,
            random=random.Random(),  # noqa: S311  # spreads retries, keeps no secret
            documents=Semaphore(DOCUMENTS),
        )
        try:
            yield context
        finally:
            await budget.settled()


def _results(settings: Settings, aws: Aws) -> Results:
    place = settings.results.place
    return FolderResults(place.path) if isinstance(place, Folder) else BucketResults(aws, place.name, place.prefix)


def _limits(settings: Settings) -> Limits:
    place = settings.results.place
    return FOLDER if isinstance(place, Folder) else limits(place.prefix)


def _events(settings: Settings, aws: Aws) -> Events:
    match settings.events.place:
        case JsonLines(path=path):
            return JsonlEvents(path)
        case Topic(arn=arn):
            return SnsEvents(aws, arn)
        case other:
            assert_never(other)


def intake(context: Context, wake: Callable[[JobId], None]) -> Drop:
    """What makes jobs of recordings; `wake` is told of each new one."""
    return Drop(
        table=context.ports.table,
        results=context.ports.results,
        pipelines=context.pipelines,
        name=context.terms.name,
        limits=context.terms.limits,
        clock=context.clock,
        tally=context.tally,
        wake=wake,
    )


def drops(settings: Settings, store: Store, drop: Drop, aws: Aws, tally: Tally) -> Drops:
    """Where recordings arrive. Of a folder, what the store knows by name is not read again."""

    async def known(name: str) -> bool:
        return bool(await store.jobs.find(name))

    match settings.drops.place:
        case Folder(path=path):
            return FolderDrops(
                path,
                known=known,
                wanted=drop.wanted,
                clock=time.time,
                tally=tally,
                exclude=settings.own_places(path),
                settle=settings.drops.settle,
            )
        case Queue(url=url):
            return QueueDrops(
                aws,
                url,
                wanted=drop.wanted,
                own=own_object(settings),
                unmatched=store.unmatched,
                clock=time.time,
                tally=tally,
            )
        case other:
            assert_never(other)


def own_object(settings: Settings) -> Callable[[ObjectPlace], bool]:
    """What tells whether an object is a result of ours and no recording."""
    place = settings.results.place
    results = ObjectPlace(bucket=place.name, key=place.prefix) if isinstance(place, Bucket) else None
    return lambda found: ours(found, results)


async def described(path: Path, key: str, metadata: Mapping[str, str]) -> Recording:
    """The file at `path` as the recording `key`; it is read whole. Raises RecordingMissing, RecordingReplaced."""
    return await describe(path, key, time.time, metadata)


async def described_object(aws: Aws, place: ObjectPlace, metadata: Mapping[str, str]) -> Recording:
    """The object as the recording that its notification would announce, `metadata` added to its own.

    Raises RecordingMissing, Unavailable.
    """
    found = await objects.described(aws, place, time.time)
    return found.model_copy(update={"metadata": {**found.metadata, **metadata}})


def terms(settings: Settings) -> Terms:
    """What stages obey, in plain values."""
    secrets = settings.callbacks.secrets
    return Terms(
        name=settings.deployment.name,
        public_url=settings.callbacks.public_url,
        secret=secrets[0].get_secret_value() if secrets else None,
        audio=settings.work.audio,
        reconcile_after=settings.work.reconcile_after,
        adopt_within=settings.work.adopt_within,
        retry=Retry(patience=settings.work.give_up_after),
        limits=_limits(settings),
    )
