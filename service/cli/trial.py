"""One recording through one pipeline, beside everything else: nothing is published, nobody's job is touched."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from service.cli.complaints import refusal
from service.cli.progress import Progress
from service.cli.standing import CURES, standing
from service.domain.asking.completion import Completion
from service.domain.asking.prompts import needs
from service.domain.errors import ServiceError
from service.domain.identity import job_id
from service.domain.job import Job, Kind, NotUnderstood, Recording, Status, TranscriptFacts, understood
from service.domain.masking import told
from service.domain.pipeline import Outputs, Pipeline, Pipelines
from service.domain.results import JSON
from service.domain.tally import NoTally
from service.engine.row import Lane, Row, RowId
from service.engine.workers import Workers
from service.ports.vendor import LanguageModel
from service.settings.groups import Callbacks, EventsPlace, JobStore, ResultsPlace
from service.settings.load import Settings
from service.stages import drop
from service.stages.asking.dispatch import Dispatch
from service.stages.context import Context
from service.stages.discretion import as_asked
from service.stages.step import step
from service.wiring import Amazon, opened_store, wired

LOOK_EVERY: Final = 0.2
GRACE: Final = 5.0
AUDIO: Final = "redact_pii_audio"
"""Begins the options of redacted audio, which a trial would only wait for."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it was sent, what came of it (or why nothing did), and how many seconds that took."""

    request: Mapping[str, object]
    completion: Completion | None
    error: str | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Known:
    """A transcript that lies with the results of a finished job, and need not be made again."""

    job_id: str
    transcript: TranscriptFacts
    forgotten: bool
    document: bytes


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What would have been published (the `result.json`), and all that was asked for it."""

    result: Mapping[str, Any]
    asked: Sequence[Asked]


class Overheard:
    """A ports.LanguageModel that remembers what is asked of another."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.asked: list[Asked] = []

    async def ask(self, request: Mapping[str, object], *, within: float) -> Completion:
        """Raises what the other raises."""
        began = time.monotonic()
        try:
            completion = await self._model.ask(request, within=within)
        except ServiceError as error:
            self._remember(request, None, str(error), began)
            raise
        self._remember(request, completion, None, began)
        return completion

    def _remember(
        self, request: Mapping[str, object], completion: Completion | None, error: str | None, began: float
    ) -> None:
        seconds = time.monotonic() - began
        self.asked.append(Asked(request=request, completion=completion, error=error, seconds=seconds))


def narrowed(pipeline: Pipeline, names: Sequence[str]) -> Pipeline:
    """The pipeline with only these prompts, and those whose answers they use; all of them if none is named.

    What is made beside the answers is left away: captions, redacted audio, attributes.
    Raises Refused for a prompt that it does not have.
    """
    wanted = set(names or [prompt.name for prompt in pipeline.prompts])
    for name in names:
        if pipeline.prompt(name) is None:
            known = ", ".join(prompt.name for prompt in pipeline.prompts)
            raise refusal(f"--prompt {name}", f"pipeline {pipeline.name} has no such prompt", f"choose from {known}")
    while more := {each for prompt in pipeline.prompts if prompt.name in wanted for each in needs(prompt)} - wanted:
        wanted |= more
    prompts = tuple(prompt for prompt in pipeline.prompts if prompt.name in wanted)
    outputs = Outputs(keep_transcript=pipeline.outputs.keep_transcript)
    options = {name: value for name, value in pipeline.transcript.items() if not name.startswith(AUDIO)}
    less = {"prompts": prompts, "outputs": outputs, "attributes": {}, "transcript": options}
    return pipeline.model_copy(update=less)


async def known(recording: Recording, pipeline: Pipeline, context: Context) -> Known | None:
    """The transcript of this very recording, where a job has one that will do. Raises Unavailable, StoreTrouble."""
    jobs = context.ports.jobs
    if recording.kind is Kind.TRANSCRIPT:
        rows = await jobs.find(recording.location)
    else:
        row = await jobs.get(RowId(job_id(context.terms.name, recording, None)))
        rows = [] if row is None else [row]
    for row in rows:
        try:
            job = understood(row.facts)
        except NotUnderstood:
            continue
        if job.transcript is None or not job.transcript.kept or not await as_asked(job, pipeline, context):
            continue
        document = await context.ports.results.get(context.place(job).transcript_json)
        if document is not None:
            return Known(job_id=job.id, transcript=job.transcript, forgotten=job.forgotten, document=document)
    return None


async def tried(
    pipeline: Pipeline, recording: Recording, before: Known | None, settings: Settings, aws: Amazon, shown: Progress
) -> Outcome:
    """The run's result. Raises Refused when the account is refused, Unavailable, StoreTrouble."""
    with tempfile.TemporaryDirectory(prefix="afterword-try-") as folder:
        async with _workshop(pipeline, _beside(settings, Path(folder)), aws) as (context, overheard):
            # Without it there are no prices, and nothing is known of what models take.
            with suppress(ServiceError):
                await context.ports.catalogue.refresh()
            job = drop.job(recording, pipeline, name=context.terms.name, again=None, now=context.now())
            row = drop.row(job, Lane.FRESH, context.now())
            if before is not None:
                row = await _transcribed(job, row, before, context)
            await context.ports.table.add(row)
            ended = await _worked(row.id, context, settings.work.lease, shown)
            stored = await context.ports.results.get(context.place(understood(ended.facts)).result(1))
            assert stored is not None
            return Outcome(result=orjson.loads(stored), asked=overheard.asked)


def _beside(settings: Settings, folder: Path) -> Settings:
    """The settings with every place that is written to in a folder of its own, and nobody called back."""
    places = {
        "AFTERWORD_JOBS": f"sqlite:///{folder.resolve()}/jobs.db",
        "AFTERWORD_RESULTS": str(folder.resolve() / "results"),
        "AFTERWORD_EVENTS": str(folder.resolve() / "events.jsonl"),
    }
    own = Settings.load(places, None, [JobStore, ResultsPlace, EventsPlace, Callbacks])
    kept = {kind: group for kind, group in own.groups.items() if kind not in settings.groups or kind in _WRITTEN}
    return Settings(groups={**settings.groups, **kept})


_WRITTEN: Final = frozenset({JobStore, ResultsPlace, EventsPlace, Callbacks})


@asynccontextmanager
async def _workshop(pipeline: Pipeline, settings: Settings, aws: Amazon) -> AsyncIterator[tuple[Context, Overheard]]:
    async with (
        opened_store(settings, aws) as store,
        wired(settings, Pipelines(pipelines=(pipeline,)), store, aws, NoTally()) as context,
    ):
        overheard = Overheard(context.ports.language_model)
        yield replace(context, ports=replace(context.ports, language_model=overheard)), overheard


async def _transcribed(job: Job, row: Row, before: Known, context: Context) -> Row:
    """The row of a job whose transcript is there: only the prompts remain."""
    facts = before.transcript.model_copy(update={"ours": False})
    job = job.model_copy(update={"transcript": facts, "forgotten": before.forgotten})
    await context.ports.results.put_new(context.place(job).transcript_json, before.document, JSON)
    return replace(row, status=Status.TRANSCRIBED, facts=job.model_dump(mode="json"), subject=str(facts.id))


async def _worked(row_id: RowId, context: Context, lease: float, shown: Progress) -> Row:
    dispatch = Dispatch(context)
    workers = Workers(
        context.ports.table,
        lambda hold: step(hold, context),
        concurrency=1,
        lease=lease,
        clock=context.clock,
        monotonic=time.monotonic,
        random=context.random,
        poll=LOOK_EVERY,
        queued=dispatch.queued,
    )
    working, calling = asyncio.ensure_future(workers.serve()), asyncio.ensure_future(dispatch.serve(workers))
    try:
        return await _ended(row_id, context, shown)
    finally:
        calling.cancel()
        await workers.stop(GRACE)
        await working
        await asyncio.gather(calling, return_exceptions=True)


async def _ended(row_id: RowId, context: Context, shown: Progress) -> Row:
    """Raises Refused when the account is refused: waiting for it to be mended is not what was asked for."""
    while True:
        row = await context.ports.jobs.get(row_id)
        assert row is not None
        shown.show([standing(row)])
        if row.ended:
            return row
        for closed in await context.ports.gates.closed():
            cure = CURES.get(closed.gate, "mend that, then try again")
            raise refusal(closed.gate, told(closed.reason).rstrip("."), cure)
        await asyncio.sleep(LOOK_EVERY)
