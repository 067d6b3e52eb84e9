"""Progress on stderr: a live picture on a terminal, a line for each step elsewhere."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from service.cli.figures import count
from service.cli.screen import clean
from service.cli.standing import STAGES, Standing

MOST_SHOWN: Final = 20
"""Recordings on the screen at once; what is at work comes first."""

MARKS: Final = {"utf": ("✔", "✘", "●", "○"), "ascii": ("ok", "!!", "#", ".")}
"""Done, failed, a stage behind, a stage ahead; the words beside them say the same."""


class Progress(Protocol):
    """Where progress is shown."""

    def show(self, standings: Sequence[Standing]) -> None:
        """Where every recording is now; call it as often as you like."""
        ...

    def say(self, line: str) -> None:
        """A line that stays."""
        ...


@contextmanager
def progress(stream: TextIO | None = None) -> Iterator[Progress]:
    """Show progress on the stream (stderr) for as long as the block lasts. NO_COLOR is honoured."""
    stream = stream or sys.stderr
    console = Console(file=stream, highlight=False, soft_wrap=False)
    if not stream.isatty() or console.is_dumb_terminal:
        yield Lines(stream)
        return
    with Live(console=console, refresh_per_second=8, transient=False) as live:
        yield Picture(live, console)


class Lines:
    """A line for each recording whenever it has come further."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown: dict[str, tuple[str, str]] = {}

    def show(self, standings: Sequence[Standing]) -> None:
        for each in standings:
            now = (each.doing, each.more)
            if self._shown.get(each.id) != now:
                self._shown[each.id] = now
                self.say(f"{each.name}: {each.doing}" + (f" ({each.more})" if each.more else ""))

    def say(self, line: str) -> None:
        self._stream.write(clean(line) + "\n")
        self._stream.flush()


class Picture:
    """A row for each recording, redrawn in place."""

    def __init__(self, live: Live, console: Console) -> None:
        self._live = live
        self._console = console
        self._marks = MARKS["utf" if "utf" in (console.encoding or "").lower() else "ascii"]
        self._spinner = Spinner("dots" if self._marks is MARKS["utf"] else "line")

    def show(self, standings: Sequence[Standing]) -> None:
        room = max(1, min(MOST_SHOWN, self._console.height - 3))
        ordered = sorted(standings, key=lambda each: (each.ended, -each.done)) if len(standings) > room else standings
        table = Table.grid(padding=(0, 2))
        # On a narrow screen only columns that may wrap give way: names and words, whose texts are cut off instead.
        for may_give_way in (False, True, False, True):
            table.add_column(no_wrap=not may_give_way)
        for each in ordered[:room]:
            table.add_row(*self._row(each))
        ended = sum(each.ended for each in standings)
        failed = sum(each.failed for each in standings)
        total = f"{ended} of {count(len(standings), 'recording')} done" + (f", {failed} failed" if failed else "")
        self._live.update(Group(table, Text(total if standings else "no recordings yet", style="dim")))

    def say(self, line: str) -> None:
        self._console.print(Text(clean(line)))

    def _row(self, each: Standing) -> tuple[Text | Spinner, Text, Text, Text]:
        done, failed, behind, ahead = self._marks
        style = "red" if each.failed else "green" if each.ended else "cyan"
        mark = Text(failed if each.failed else done, style=style) if each.ended else self._spinner
        stages = Text(behind * each.done + ahead * (len(STAGES) - each.done), style=style)
        words = Text(each.doing, style=style, no_wrap=True, overflow="ellipsis")
        if each.more:
            words.append(f"  {clean(each.more)}", style="dim")
        return mark, Text(clean(each.name), no_wrap=True, overflow="ellipsis"), stages, words
