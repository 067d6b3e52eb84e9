"""`afterword check`: everything that is wrong, in one list."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from service import telemetry
from service.cli.aws_environment import lend
from service.cli.complaints import FAILED, warn
from service.cli.configuration import DOTENV
from service.cli.figures import count, size
from service.cli.inbox import Inbox, waiting_in
from service.cli.probes import probe
from service.cli.reading import read
from service.cli.screen import note, out, out_json
from service.domain.errors import Problem
from service.domain.objects import ObjectPlace, parsed
from service.domain.pipeline import Pipeline, Pipelines


def register(app: typer.Typer) -> None:
    app.command("check")(check)


def check(
    *,
    offline: Annotated[bool, typer.Option("--offline", help="Only read settings and pipelines; try nothing.")] = False,
    match: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            help="Also tell which pipeline takes this key (s3://bucket/key: and whether it may be read).",
        ),
    ] = None,
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY...]", help="More keys for --match.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """List every problem of the settings and the pipelines file, then try what the service will need.

    Exits 1 if there is any problem.
    """
    if keys and not match:
        raise typer.BadParameter("keys go with --match")
    lend(os.environ, DOTENV)
    reading = read(os.environ)
    problems, warnings = list(reading.problems), list(reading.warnings)
    inbox = None
    if not offline:
        telemetry.configure("auto", "critical", sys.stderr)
        recordings = _recordings((*(match or ()), *(keys or ())))
        tried = asyncio.run(probe(reading.settings, recordings, reading.loaded))
        problems += [each for each in dict.fromkeys(tried.problems) if each not in problems]
        warnings += dict.fromkeys(tried.warnings)
        inbox = asyncio.run(waiting_in(reading.settings, reading.pipelines))
    matches = [_matched(key, reading.pipelines) for key in (*(match or ()), *(keys or ()))]
    if json:
        _as_json(problems, warnings, matches, inbox)
    else:
        _as_lines(problems, warnings, matches, inbox)
    raise typer.Exit(FAILED if problems else 0)


@dataclass(frozen=True, kw_only=True)
class Match:
    key: str
    pipeline: str | None
    pattern: str | None


def _matched(key: str, pipelines: Pipelines | None) -> Match:
    """A key may also be written `s3://bucket/key`, for patterns that name a bucket."""
    bare = key.removeprefix("s3://").partition("/")[2] or key if key.startswith("s3://") else key
    found = pipelines.match(bare, key) if pipelines else None
    pattern = None if found is None else _pattern(found, bare, key)
    return Match(key=key, pipeline=found.name if found else None, pattern=pattern)


def _recordings(keys: Sequence[str]) -> Sequence[ObjectPlace]:
    """Those of the keys that name a bucket too: whether they can be read is worth knowing."""
    return [place for key in keys if (place := parsed(key)) is not None and place.key]


def _pattern(pipeline: Pipeline, key: str, uri: str) -> str | None:
    alone = (pipeline.model_copy(update={"match": (pattern,)}) for pattern in pipeline.match)
    return next((each.match[0] for each in alone if Pipelines(pipelines=(each,)).match(key, uri)), None)


def _as_lines(
    problems: Sequence[Problem], warnings: Sequence[Problem], matches: Sequence[Match], inbox: Inbox | None
) -> None:
    for problem in problems:
        out(f"problem: {problem}")
    for each in matches:
        taken = f"pipeline {each.pipeline} takes it, by `{each.pattern}`" if each.pipeline else "no pipeline takes it"
        out(f"match: {each.key}: {taken}")
    warn(warnings)
    if inbox is not None and inbox.recordings:
        note(f"note: {_bill(inbox)}")
    out(f"{count(len(problems), 'problem')}" if problems else "no problems")


def _bill(inbox: Inbox) -> str:
    at_most = "at most " if inbox.at_most else ""
    waits = "waits" if inbox.recordings == 1 else "wait"
    what = f"{at_most}{count(inbox.recordings, 'recording')} ({size(inbox.bytes)}) {waits} in {inbox.folder}"
    return f"{what}, unknown to the job store: the next start bills all that have no results yet"


def _as_json(
    problems: Sequence[Problem], warnings: Sequence[Problem], matches: Sequence[Match], inbox: Inbox | None
) -> None:
    waiting = None
    if inbox is not None:
        waiting = {"folder": str(inbox.folder), "recordings": inbox.recordings, "bytes": inbox.bytes}
    out_json(
        {
            "problems": [_view(each) for each in problems],
            "warnings": [_view(each) for each in warnings],
            "matches": [{"key": each.key, "pipeline": each.pipeline, "pattern": each.pattern} for each in matches],
            "waiting": waiting,
        }
    )


def _view(problem: Problem) -> Mapping[str, str]:
    return {"place": problem.place, "what": problem.what, "cure": problem.cure}
