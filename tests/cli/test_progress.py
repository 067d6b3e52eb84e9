"""Progress: a picture on a terminal, lines elsewhere, and nothing said by colour alone."""

import io
from collections.abc import Mapping, Sequence

import pytest

from service.cli.following import follow
from service.cli.progress import MOST_SHOWN, progress
from service.cli.standing import Standing, standing
from service.domain.job import Status
from service.engine.row import Row, RowId
from tests.cli.rows import row

pytestmark = pytest.mark.anyio


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Plain(Terminal):
    encoding = "ascii"


def drawn(standings: Sequence[Standing], terminal: Terminal) -> str:
    with progress(terminal) as shown:
        shown.show(standings)
        shown.say("something to know")
    return terminal.getvalue()


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "160", "LINES": "50"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


DONE = standing(row("a.mp3", Status.PUBLISHED))
LOST = standing(row("b.mp3", Status.FAILED))
BUSY = standing(row("c.mp3", Status.TRANSCRIBED))


async def test_a_terminal_shows_each_recording_with_its_stage_in_words() -> None:
    picture = drawn([DONE, LOST, BUSY], Terminal())
    assert "✔" in picture
    assert "✘" in picture
    for words in ("a.mp3", "●●●●", "published", "b.mp3", "failed", "c.mp3", "●●○○", "asking prompts"):
        assert words in picture
    assert "2 of 3 recordings done, 1 failed" in picture
    assert "something to know" in picture


async def test_a_terminal_without_unicode_gets_none() -> None:
    picture = drawn([DONE, LOST, BUSY], Plain())
    assert picture.isascii()
    assert "##.." in picture


async def test_no_color_means_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = drawn([DONE, LOST, BUSY], Terminal())
    assert "\x1b[32m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    plain = drawn([DONE, LOST, BUSY], Terminal())
    assert not any(f"\x1b[{code}m" in plain for code in range(30, 48))
    assert "failed" in plain


async def test_a_narrow_terminal_cuts_names_and_words_and_keeps_the_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    picture = drawn([standing(row("interviews/somebody.mp3", Status.PUBLISHED)), LOST], Terminal())
    assert "✔" in picture
    assert "●●●●" in picture
    assert "interviews/somebody.mp3" not in picture
    assert "…" in picture


async def test_before_the_first_recording_it_says_so() -> None:
    assert "no recordings yet" in drawn([], Terminal())


async def test_of_many_recordings_those_at_work_come_first() -> None:
    many = [standing(row(f"{number:03}.mp3", Status.PUBLISHED)) for number in range(MOST_SHOWN * 2)]
    picture = drawn([*many, BUSY], Terminal())
    assert "c.mp3" in picture
    assert picture.count(".mp3") < MOST_SHOWN * 3
    assert f"{len(many)} of {len(many) + 1} recordings done" in picture


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("TERM", "unknown")])
async def test_a_terminal_that_cannot_draw_gets_lines(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    said = drawn([DONE, LOST], Terminal())
    assert said.splitlines() == [
        "a.mp3: published (complete)",
        "b.mp3: failed (prompt_failed: it was cut off)",
        "something to know",
    ]


async def test_lines_are_told_once_and_cannot_steer_a_terminal() -> None:
    stream = io.StringIO()
    evil = standing(row("e\x1b[2J.mp3", Status.RECEIVED))
    with progress(stream) as shown:
        shown.show([evil])
        shown.show([evil])
    assert stream.getvalue() == "e\\x1b[2J.mp3: submitting\n"
    assert "\x1b[2J" not in drawn([evil], Terminal())


class Table:
    """The rows of a job at each look, one after the other."""

    def __init__(self, looks: Mapping[str, Sequence[Row | None]]) -> None:
        self._looks = {name: list(rows) for name, rows in looks.items()}

    async def get(self, row_id: RowId) -> Row | None:
        rows = self._looks[row_id]
        return rows.pop(0) if len(rows) > 1 else rows[0]


class Seen:
    def __init__(self) -> None:
        self.shown: list[list[str]] = []
        self.said: list[str] = []

    def show(self, standings: Sequence[Standing]) -> None:
        self.shown.append([each.doing for each in standings])

    def say(self, line: str) -> None:
        self.said.append(line)


async def followed(
    looks: Mapping[str, Sequence[Row | None]], *, idle_after: float
) -> tuple[Mapping[RowId, Row | None], Seen]:
    seen, now = Seen(), iter(range(1_000, 1_000_000, 10))
    jobs = Table(looks)
    rows = await follow(
        jobs,  # type: ignore[arg-type]  # one of the port's methods is all that is used
        [RowId(name) for name in looks],
        seen,
        clock=lambda: float(next(now)),
        every=0,
        idle_after=idle_after,
    )
    return rows, seen


async def test_jobs_are_followed_until_all_have_ended() -> None:
    looks = {
        "a": [row("a", Status.RECEIVED), row("a", Status.SUBMITTED), row("a", Status.PUBLISHED)],
        "b": [row("b", Status.FAILED)],
        "gone": [None],
    }
    rows, seen = await followed(looks, idle_after=1e9)
    assert {name: each.status if each else None for name, each in rows.items()} == {
        "a": "published",
        "b": "failed",
        "gone": None,
    }
    assert seen.shown == [["submitting", "failed"], ["transcribing", "failed"], ["published", "failed"]]
    assert seen.said == []


async def test_it_is_told_once_that_nobody_is_at_work() -> None:
    due = row("a", Status.RECEIVED, due_at=500.0)
    _, seen = await followed({"a": [due, due, due, due, row("a", Status.PUBLISHED)]}, idle_after=10)
    assert len(seen.said) == 1
    assert "afterword serve" in seen.said[0]


@pytest.mark.parametrize(
    "busy",
    [
        row("b", Status.SUBMITTED, due_at=500.0, lease_until=1e9),
        row("b", Status.SUBMITTED, due_at=1e9),
        row("b", Status.SUBMITTED, due_at=500.0, claimable_at=1e9),
    ],
)
async def test_what_is_worked_on_or_not_due_is_no_sign_of_that(busy: Row) -> None:
    _, seen = await followed({"b": [busy, busy, busy, busy, row("b", Status.PUBLISHED)]}, idle_after=10)
    assert seen.said == []
