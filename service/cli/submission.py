"""Making jobs of recordings that a person named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service import operations
from service.adapters.credentials import lacking
from service.cli.complaints import FAILED, refusal
from service.cli.following import follow
from service.cli.progress import progress
from service.cli.screen import columns, out, out_json
from service.domain.errors import Permanent, Problem, Refused
from service.domain.identity import job_id
from service.domain.job import JobId, Recording, Status
from service.domain.pipeline import Pipeline, Pipelines
from service.domain.places import place
from service.domain.targets import FileTarget, ObjectTarget, Target
from service.engine.row import Lane, Row, RowId
from service.settings.load import Settings
from service.stages.context import Context
from service.stages.drop import Drop
from service.wiring import Amazon

Found = tuple[Recording, Pipeline]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What was asked for. `again`, a nonce, makes further jobs of known recordings. `base` is absolute."""

    settings: Settings
    pipelines: Pipelines
    pipeline: str | None
    metadata: Mapping[str, str]
    again: str | None
    dry_run: bool
    wait: bool
    json: bool
    base: Path
    aws: Amazon

    @property
    def inbox(self) -> Path | None:
        inbox = self.settings.inbox
        return inbox.resolve() if inbox else None


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """The job of a recording; `new` unless it was known. After waiting, where it ended."""

    job_id: str
    new: bool
    pipeline: str
    key: str
    uri: str


async def read(named: Sequence[Target], order: Order) -> Sequence[Found]:
    """What the targets are and which pipeline takes each; files are read. Raises Refused with all that cannot be."""
    found: list[Found] = []
    problems: list[Problem] = []
    for target in named:
        try:
            found.append(await recording(target, order))
        except Refused as refused:
            problems += refused.problems
    if problems:
        raise Refused(problems)
    return found


async def recording(target: Target, order: Order, relative_to: Path | None = None) -> Found:
    """One of them; the key of a file is relative to the inbox, or to `relative_to`. Raises Refused."""
    if isinstance(target, FileTarget) and (order.base / target.path).is_dir():
        raise refusal(target.path, "it is a folder", "take all in it with --recursive, or name its files")
    try:
        known = await operations.recording(
            target, order.metadata, order.aws, inbox=order.inbox, base=order.base, relative_to=relative_to
        )
    except Permanent as error:
        raise refused(_place(target), error) from None
    return known, operations.chosen_pipeline(order.pipelines, known, order.pipeline)


def refused(place: str, error: Permanent) -> Refused:
    """The problem that the error tells of, to be raised: its message ends in the cure."""
    if (missing := lacking(error)) is not None:
        return refusal(place, *missing)
    what, _, cure = error.message.rpartition(": ")
    what = f"it{what.removeprefix(place)}" if what.startswith(f"{place} ") else what
    return refusal(place, what or error.message, cure)


def _place(target: Target) -> str:
    match target:
        case FileTarget(path=path):
            return path
        case ObjectTarget(place=place):
            return place.uri
        case _:
            return "the target"


async def submitted(found: Found, order: Order, context: Context, drop: Drop, lane: Lane = Lane.FRESH) -> Submitted:
    """The job of the recording: made unless known; in a dry run only looked up. Raises Unavailable, StoreTrouble."""
    what, pipeline = found
    if order.dry_run:
        derived = job_id(context.terms.name, what, order.again)
        row = await context.ports.jobs.get(RowId(derived))
        new = row is None and not await _told_already(derived, found, context)
        name = pipeline.name if row is None else str(row.facts.get("pipeline", pipeline.name))
        return Submitted(job_id=derived, new=new, pipeline=name, key=what.key, uri=what.uri)
    made = await drop.receive(what, pipeline=pipeline, lane=lane, again=order.again)
    return Submitted(job_id=made.job_id, new=made.created, pipeline=made.pipeline, key=what.key, uri=what.uri)


def unlooked(found: Found, order: Order) -> Submitted:
    """What a dry run tells where there is no job store yet: everything is new."""
    what, pipeline = found
    derived = job_id(order.settings.deployment.name, what, order.again)
    return Submitted(job_id=derived, new=True, pipeline=pipeline.name, key=what.key, uri=what.uri)


async def concluded(done: Sequence[Submitted], order: Order, context: Context | None) -> int:
    """Tell which jobs they are, wait for them if that was asked for, and give the exit code."""
    if not order.json:
        tell(done, order)
    return await ended(done, order, context)


async def ended(done: Sequence[Submitted], order: Order, context: Context | None) -> int:
    """Wait for them if that was asked for, tell machines all about them, and give the exit code."""
    rows: Mapping[RowId, Row | None] = {}
    if order.wait and not order.dry_run and context is not None:
        with progress() as shown:
            rows = await follow(context.ports.jobs, [RowId(each.job_id) for each in done], shown, clock=context.clock)
    if order.json:
        out_json({"dry_run": order.dry_run, "jobs": [_view(each, rows) for each in done]})
    return FAILED if any(row is not None and row.status == Status.FAILED for row in rows.values()) else 0


def tell(done: Sequence[Submitted], order: Order) -> None:
    """A line for each: the job, whether it is new, its pipeline and recording."""
    new = "would be new" if order.dry_run else "new"
    for line in columns([(each.job_id, new if each.new else "known", each.pipeline, each.key) for each in done]):
        out(line)


def _view(each: Submitted, rows: Mapping[RowId, Row | None]) -> Mapping[str, object]:
    shown: dict[str, object] = {
        "job_id": each.job_id,
        "new": each.new,
        "pipeline": each.pipeline,
        "key": each.key,
        "uri": each.uri,
    }
    row = rows.get(RowId(each.job_id))
    return shown if row is None else shown | {"status": row.status}


async def _told_already(derived: str, found: Found, context: Context) -> bool:
    """Whether its result stands, although the row is gone."""
    what, pipeline = found
    key = place(pipeline.name, what.key, JobId(derived), context.terms.limits).result(1)
    return await context.ports.results.get(key) is not None
