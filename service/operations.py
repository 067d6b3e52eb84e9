"""What people set going, by a command or through the private listener: the stages that also work by themselves."""

import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from service.domain import targets
from service.domain.errors import Problem, Refused
from service.domain.job import Recording
from service.domain.pipeline import Pipeline, Pipelines
from service.domain.targets import FileTarget, ObjectTarget, Target, TranscriptTarget, UrlTarget
from service.stages.context import Context
from service.stages.drop import Drop
from service.stages.retry import retry
from service.wiring import Amazon, described, described_object


class Operations:
    """Implements `ops_jobs.Operations`.

    `inbox`, the drops folder if there is one, and `base`, where relative paths start, are absolute and resolved.
    """

    def __init__(self, context: Context, drop: Drop, aws: Amazon, *, inbox: Path | None, base: Path) -> None:
        self._context = context
        self._drop = drop
        self._aws = aws
        self._inbox = inbox
        self._base = base

    async def submit(self, target: str, pipeline: str | None, metadata: Mapping[str, str]) -> Mapping[str, object]:
        """The job of the target, new or known. Raises Refused, Permanent, Transient, StoreTrouble."""
        (parsed,) = targets.parse([target])
        found = await recording(parsed, metadata, self._aws, inbox=self._inbox, base=self._base)
        chosen = chosen_pipeline(self._context.pipelines, found, pipeline)
        received = await self._drop.receive(found, pipeline=chosen)
        return {"job_id": received.job_id, "new": received.created, "pipeline": received.pipeline}

    async def retry(self, name: str) -> Mapping[str, object]:
        """The failed job of that name on its next run. Raises KeyError, Refused, StoreTrouble."""
        rows = await self._context.ports.jobs.find(name)
        if not rows:
            raise KeyError(name)
        again = await retry(rows[0], self._context)
        return {"job_id": again.id, "run": again.facts["run"]}


async def recording(
    target: Target,
    metadata: Mapping[str, str],
    aws: Amazon,
    *,
    inbox: Path | None,
    base: Path,
    relative_to: Path | None = None,
) -> Recording:
    """What a target is; a file is read whole, for its content is part of what it is.

    The key of a file is relative to `inbox` if it lies there, else to `relative_to` (by default `base`).
    Raises Refused, RecordingMissing, RecordingReplaced, Unavailable.
    """
    match target:
        case FileTarget(path=path):
            whole = _resolved(base / path)
            key = targets.file_key(
                PurePosixPath(whole),
                inbox=PurePosixPath(inbox) if inbox else None,
                otherwise=PurePosixPath(relative_to or base),
            )
            return await described(whole, key, metadata)
        case ObjectTarget(place=place):
            if not place.key or place.key.endswith("/"):
                cure = "name an object, or take all under it with `afterword submit --recursive`"
                raise Refused([Problem(place=place.uri, what="it is no object but a place of objects", cure=cure)])
            return await described_object(aws, place, metadata)
        case UrlTarget():
            return targets.from_url(target, time.time(), metadata)
        case TranscriptTarget():
            return targets.from_transcript(target, time.time(), metadata)


def _resolved(path: Path) -> Path:
    # A link keeps its own name: it is what a pipeline matches.
    return path.parent.resolve() / path.name


def chosen_pipeline(pipelines: Pipelines, found: Recording, name: str | None) -> Pipeline:
    """The pipeline of that name, or the one that takes the recording. Raises Refused when there is none."""
    pipeline = pipelines.get(name) if name is not None else pipelines.match(found.key, found.uri)
    if pipeline is not None:
        return pipeline
    known = ", ".join(each.name for each in pipelines.pipelines)
    if name is not None:
        problem = Problem(place=f"pipeline {name}", what="there is no such pipeline", cure=f"choose one of {known}")
    else:
        cure = f"choose one of {known} with --pipeline, or add a pattern to `match`"
        problem = Problem(place=found.key, what="no pipeline takes this recording", cure=cure)
    raise Refused([problem])
