"""Whole folders and prefixes of recordings: counted first, then handed over in a lane of their own."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import typer

from service.adapters.drops.grounds import waiting, words
from service.cli import prefixes
from service.cli.complaints import refusal
from service.cli.figures import count, size
from service.cli.handover import Handover
from service.cli.screen import columns, note
from service.cli.submission import Order, recording, submitted
from service.domain.errors import Problem, Refused
from service.domain.identity import file_uri
from service.domain.objects import ObjectPlace
from service.domain.targets import FileTarget, ObjectTarget, Target
from service.engine.row import Lane
from service.stages.context import Context
from service.stages.drop import Drop

Place = Path | ObjectPlace
"""A folder on this machine, or a prefix in S3."""


@dataclass(kw_only=True)
class Survey:
    """What lies there, by pipeline: recordings and bytes; and what no pipeline takes."""

    taken: dict[str, tuple[int, int]] = field(default_factory=dict)
    unmatched: int = 0

    @property
    def recordings(self) -> int:
        return sum(number for number, _ in self.taken.values())

    @property
    def bytes(self) -> int:
        return sum(total for _, total in self.taken.values())

    def count(self, pipeline: str | None, length: int) -> None:
        """One more, of so many bytes."""
        if pipeline is None:
            self.unmatched += 1
        else:
            number, total = self.taken.get(pipeline, (0, 0))
            self.taken[pipeline] = (number + 1, total + length)

    def view(self) -> dict[str, object]:
        pipelines = {name: {"recordings": number, "bytes": total} for name, (number, total) in self.taken.items()}
        return {
            "recordings": self.recordings,
            "bytes": self.bytes,
            "pipelines": pipelines,
            "unmatched": self.unmatched,
        }

    def lines(self) -> Sequence[str]:
        rows = [(name, count(number, "recording"), size(total)) for name, (number, total) in self.taken.items()]
        return columns([*rows, ("in all", count(self.recordings, "recording"), size(self.bytes))])


def places(named: Sequence[Target], order: Order) -> Sequence[Place]:
    """The folders and prefixes that are meant. Raises Refused with every target that is neither."""
    problems: list[Problem] = []
    found: list[Place] = []
    for target in named:
        if isinstance(target, ObjectTarget):
            found.append(target.place)
        elif isinstance(target, FileTarget) and (order.base / target.path).is_dir():
            found.append((order.base / target.path).resolve())
        else:
            file = isinstance(target, FileTarget)
            what = "it is no folder" if file else "only folders and prefixes in S3 are taken with --recursive"
            place = target.path if isinstance(target, FileTarget) else "the target"
            problems.append(Problem(place=place, what=what, cure="name a folder, or leave --recursive out"))
    if problems:
        raise Refused(problems)
    return found


async def survey(named: Sequence[Place], order: Order) -> Survey:
    """Count what would be handed over, without opening any of it. Raises Refused, Unavailable."""
    found = Survey()
    for place in named:
        if isinstance(place, Path):
            for key, length in _files(place, order):
                found.count(_pipeline(place, key, order), length)
            continue
        async for page in prefixes.objects(place, order):
            for each in page:
                found.count(prefixes.pipeline_of(each, order), each.size)
    return found


def left_alone(found: Survey) -> str:
    return f"{count(found.unmatched, 'further file')} that no pipeline takes would be left alone"


def agreed(found: Survey, *, yes: bool) -> bool:
    """Whether to go on, after the figures have been shown. Raises Refused where nobody can be asked."""
    for line in found.lines():
        note(line)
    if found.unmatched:
        note(left_alone(found))
    if yes or not found.recordings:
        return True
    if not sys.stdin.isatty():
        what = f"{count(found.recordings, 'recording')} would be transcribed and billed, and nobody can be asked"
        raise refusal("--recursive", what, "say --yes, or look first with --dry-run")
    question = "Hand them over? What is known already is not billed again."
    return typer.confirm(question, err=True)


async def hand_over(named: Sequence[Place], order: Order, context: Context, drop: Drop, done: Handover) -> None:
    """Make jobs of all recordings there. Raises Refused, Unavailable, StoreTrouble; those made by then stay made."""
    for place in named:
        if isinstance(place, Path):
            await _folder(place, order, context, drop, done)
        else:
            await prefixes.hand_over(place, order, context, drop, done)


async def _folder(folder: Path, order: Order, context: Context, drop: Drop, done: Handover) -> None:
    for key, _ in _files(folder, order):
        if _pipeline(folder, key, order) is None:
            continue
        try:
            found = await recording(FileTarget(path=str(folder / key)), order, relative_to=folder)
        except Refused as refused:
            done.miss(refused)
            continue
        done.add(await submitted(found, order, context, drop, Lane.BACKFILL))


def _files(folder: Path, order: Order) -> Iterator[tuple[str, int]]:
    """Keys relative to the folder, and bytes; ours are passed over."""
    try:
        yield from waiting(folder, order.settings.own_places(folder))
    except OSError as error:
        raise refusal(str(folder), f"it cannot be read ({words(error)})", "name a folder that may be read") from None


def _pipeline(folder: Path, key: str, order: Order) -> str | None:
    if order.pipeline is not None:
        return order.pipeline
    path, inbox = folder / key, order.inbox
    known = path.relative_to(inbox).as_posix() if inbox and path.is_relative_to(inbox) else key
    pipeline = order.pipelines.match(known, file_uri(str(path)))
    return pipeline.name if pipeline else None
