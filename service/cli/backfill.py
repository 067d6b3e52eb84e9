"""Whole folders of recordings: counted first, then handed over one by one in a lane of their own."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import typer

from service.adapters.drops.grounds import waiting, words
from service.cli.complaints import refusal, sentences
from service.cli.figures import count, size
from service.cli.screen import columns, note
from service.cli.submission import Order, Submitted, recording, submitted
from service.domain.errors import Problem, Refused
from service.domain.identity import file_uri
from service.domain.targets import FileTarget, Target
from service.engine.row import Lane
from service.stages.context import Context
from service.stages.drop import Drop

TELL_EVERY: Final = 100
"""Recordings between two lines about how far we are."""


@dataclass(kw_only=True)
class Survey:
    """What lies in the folders, by pipeline: recordings and bytes; and what no pipeline takes."""

    taken: dict[str, tuple[int, int]] = field(default_factory=dict)
    unmatched: int = 0

    @property
    def recordings(self) -> int:
        return sum(number for number, _ in self.taken.values())

    @property
    def bytes(self) -> int:
        return sum(total for _, total in self.taken.values())

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


def folders(named: Sequence[Target], order: Order) -> Sequence[Path]:
    """The folders that are meant. Raises Refused with every target that is none."""
    problems: list[Problem] = []
    found: list[Path] = []
    for target in named:
        if isinstance(target, FileTarget) and (order.base / target.path).is_dir():
            found.append((order.base / target.path).resolve())
        else:
            what = "it is no folder" if isinstance(target, FileTarget) else "only folders are taken with --recursive"
            place = target.path if isinstance(target, FileTarget) else "the target"
            problems.append(Problem(place=place, what=what, cure="name a folder, or leave --recursive out"))
    if problems:
        raise Refused(problems)
    return found


def survey(named: Sequence[Path], order: Order) -> Survey:
    """Count what would be handed over, without opening a file. Raises Refused."""
    found = Survey()
    for folder in named:
        for key, length in _files(folder, order):
            name = _pipeline(folder, key, order)
            if name is None:
                found.unmatched += 1
            else:
                number, total = found.taken.get(name, (0, 0))
                found.taken[name] = (number + 1, total + length)
    return found


def agreed(found: Survey, *, yes: bool) -> bool:
    """Whether to go on, after the figures have been shown. Raises Refused where nobody can be asked."""
    for line in found.lines():
        note(line)
    if found.unmatched:
        note(f"{count(found.unmatched, 'further file')} that no pipeline takes would be left alone")
    if yes or not found.recordings:
        return True
    if not sys.stdin.isatty():
        what = f"{count(found.recordings, 'recording')} would be transcribed and billed, and nobody can be asked"
        raise refusal("--recursive", what, "say --yes, or look first with --dry-run")
    question = "Hand them over? What is known already is not billed again."
    return typer.confirm(question, err=True)


async def handed_over(
    named: Sequence[Path], order: Order, context: Context, drop: Drop, total: int
) -> tuple[Sequence[Submitted], bool]:
    """The jobs of all recordings in the folders, and whether each could be read. Raises Unavailable, StoreTrouble."""
    done: list[Submitted] = []
    complete = True
    for folder in named:
        for key, _ in _files(folder, order):
            if _pipeline(folder, key, order) is None:
                continue
            try:
                found = await recording(FileTarget(path=str(folder / key)), order, relative_to=folder)
            except Refused as refused:
                complete = False
                for sentence in sentences(refused):
                    note(f"error: {sentence}")
                continue
            done.append(await submitted(found, order, context, drop, Lane.BACKFILL))
            if len(done) % TELL_EVERY == 0:
                note(f"{len(done):,} of {count(total, 'recording')}")
    return done, complete


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
