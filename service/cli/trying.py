"""`afterword try`: prompts on one recording, without publishing anything."""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from service import operations
from service.cli import trial
from service.cli.complaints import FAILED, refusal
from service.cli.configuration import context_for, pipelines_for, settings_for, store_stands
from service.cli.figures import count
from service.cli.progress import progress
from service.cli.screen import note, out, out_json, wrapped
from service.cli.submission import refused
from service.cli.trial import Asked, Known, Outcome
from service.domain import targets
from service.domain.errors import Permanent
from service.domain.job import Kind, Recording
from service.domain.pipeline import Pipeline, Pipelines
from service.domain.targets import Target
from service.settings.groups import Allowance, DropsPlace, JobStore, PipelinesPlace, ResultsPlace, Vendor, Work
from service.settings.load import Settings
from service.wiring import Amazon, amazon


def register(app: typer.Typer) -> None:
    app.command("try")(try_)


def try_(
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", show_default=False, help="The pipeline's name.")],
    target: Annotated[
        str, typer.Argument(metavar="TARGET", show_default=False, help="A path, s3://…, https://… or transcript:ID.")
    ],
    *,
    prompt: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this prompt, and what it uses; may be repeated.")
    ] = None,
    metadata: Annotated[list[str] | None, typer.Option(metavar="K=V", help="source.metadata.K for prompts.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a transcription.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Ask a pipeline's prompts about one recording, and show each request, answer and cost; nothing is published.

    A recording that has its transcript already is not transcribed again.
    """
    (parsed,) = targets.parse([target])
    given = targets.metadata(metadata or ())
    settings = settings_for(Vendor, Allowance, PipelinesPlace, DropsPlace, JobStore, ResultsPlace, Work)
    with amazon() as aws:
        pipelines = pipelines_for(settings)
        found = pipelines.get(pipeline)
        if found is None:
            known = ", ".join(each.name for each in pipelines.pipelines)
            raise refusal(f"pipeline {pipeline}", "there is no such pipeline", f"choose one of {known}")
        wanted = trial.narrowed(found, prompt or [])
        raise typer.Exit(asyncio.run(_tried(wanted, parsed, given, settings, aws, yes=yes, json=json)))


async def _tried(
    pipeline: Pipeline,
    target: Target,
    metadata: Mapping[str, str],
    settings: Settings,
    aws: Amazon,
    *,
    yes: bool,
    json: bool,
) -> int:
    inbox = settings.inbox.resolve() if settings.inbox else None
    try:
        recording = await operations.recording(target, metadata, aws, inbox=inbox, base=Path.cwd().resolve())
    except Permanent as error:
        raise refused(str(getattr(target, "path", "the target")), error) from None
    before = await _before(recording, pipeline, settings, aws)
    if before is None and recording.kind is not Kind.TRANSCRIPT and not _agreed(recording, yes=yes):
        note("nothing was asked")
        return FAILED
    with progress() as shown:
        outcome = await trial.tried(pipeline, recording, before, settings, aws, shown)
    if json:
        out_json({"result": outcome.result, "requests": [_view(each) for each in outcome.asked]})
    else:
        for line in _lines(outcome, before, kept=pipeline.outputs.keep_transcript):
            out(line)
    broken = any("error" in answer for answer in outcome.result["answers"].values())
    return FAILED if broken or "error" in outcome.result else 0


async def _before(recording: Recording, pipeline: Pipeline, settings: Settings, aws: Amazon) -> Known | None:
    """Only looked for where there is a job store: looking would make an embedded one."""
    if not store_stands(settings):
        return None
    async with context_for(settings, Pipelines(pipelines=()), aws) as context:
        return await trial.known(recording, pipeline, context)


def _agreed(recording: Recording, *, yes: bool) -> bool:
    """Raises Refused where nobody can be asked."""
    if yes:
        return True
    what = "it has no transcript yet, and making one is billed"
    if not sys.stdin.isatty():
        raise refusal(recording.key, what, "say --yes, or name a transcript that is there: transcript:ID")
    return typer.confirm(f"{recording.key}: {what}. Go on?", err=True)


def _lines(outcome: Outcome, before: Known | None, *, kept: bool) -> Iterator[str]:
    result, asked = outcome.result, outcome.asked
    yield f"TRANSCRIPT {_transcript(result, before, kept=kept)}"
    for number, each in enumerate(asked, start=1):
        yield ""
        yield f"REQUEST {number} of {len(asked)}: {_came_of(each)}"
        yield ""
        yield from orjson.dumps(each.request, option=orjson.OPT_INDENT_2, default=dict).decode().splitlines()
    yield ""
    yield "ANSWERS"
    for name, answer in result["answers"].items():
        yield ""
        yield from _answer(name, answer, result["request_ids"].get(name), asked)
    yield ""
    if "error" in result:
        yield f"FAILED {result['error']['code']}: {result['error']['message']}"
    if "skipped" in result:
        yield f"nothing was asked: {result['skipped']}"
    yield f"TOGETHER {count(len(asked), 'request')}, {_used(result['usage'])}. Nothing was published."


def _transcript(result: Mapping[str, Any], before: Known | None, *, kept: bool) -> str:
    found = result["transcript"]
    if found is None:
        return "none"
    source = "transcript:ID spares making it again" if kept else "deleted again, if it was made for this"
    source = f"of {before.job_id}, not transcribed again" if before else source
    return f"{found['id']}, {found['language'] or 'no language'}, {found['duration'] or 0} s ({source})"


def _came_of(each: Asked) -> str:
    model = str(each.request.get("model"))
    if each.completion is None:
        return f"{model}, {each.seconds:.1f} s, refused: {each.error}"
    answered = each.completion
    by = "" if answered.model == model else f" answered by {answered.model}"
    return f"{model}{by}, {each.seconds:.1f} s, {_used(answered.usage.model_dump())}, id {answered.request_id}"


def _answer(name: str, answer: Mapping[str, Any], request_id: str | None, asked: Sequence[Asked]) -> Iterator[str]:
    numbers = [
        number
        for number, each in enumerate(asked, start=1)
        if each.completion is not None and each.completion.request_id == request_id
    ]
    yield f"{name}{f' (request {numbers[-1]})' if numbers else ''}"
    if "error" in answer:
        yield from wrapped(f"{answer['error']['code']}: {answer['error']['message']}", "  ")
    elif "value" in answer:
        shown = orjson.dumps(answer["value"], option=orjson.OPT_INDENT_2).decode().splitlines()
        yield from (f"  {line}" for line in shown)
    else:
        yield from wrapped(answer["content"], "  ")


def _used(usage: Mapping[str, Any]) -> str:
    tokens = f"{usage['input_tokens']:,} tokens in, {usage['output_tokens']:,} out"
    cost = usage.get("estimated_cost")
    return tokens if cost is None else f"{tokens}, about ${cost:.4f}"


def _view(each: Asked) -> dict[str, object]:
    came = None if each.completion is None else each.completion.model_dump(mode="json")
    return {"request": dict(each.request), "completion": came, "error": each.error, "seconds": round(each.seconds, 3)}
