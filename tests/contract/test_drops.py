"""What every place where recordings arrive must promise, on a real folder."""

import asyncio
import hashlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.adapters.drops.folder import Folder
from service.domain.errors import Refused, Unavailable
from service.domain.job import Recording
from service.domain.tally import NoTally
from service.engine.errors import StoreTrouble

pytestmark = pytest.mark.anyio

SETTLE = 0.05

NAMES = [
    "a b.mp3",
    "a+b.mp3",
    "100%25.mp3",
    'it\'s "quoted".mp3',
    "party 🎉 ünï.mp3",
    "two\nlines.mp3",
    "#hash?query&amp;.mp3",
    "back\\slash.mp3",
    "*[glob]?.mp3",
    "-rf.mp3",
    "x" * 251 + ".mp3",
    "é" * 125 + ".mp3",
    "deep/er/and deeper/still.mp3",
]


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happened():  # noqa: ASYNC110  what is waited for tells nobody
            await asyncio.sleep(0.005)


@dataclass
class Taken:
    """Takes what is dropped, after raising what it was told to."""

    recordings: list[Recording] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    trouble: list[Exception] = field(default_factory=list)

    async def __call__(self, recording: Recording, names: Sequence[str]) -> None:
        if self.trouble:
            raise self.trouble.pop(0)
        self.recordings.append(recording)
        self.names.update(names)

    async def known(self, name: str) -> bool:
        return name in self.names

    @property
    def keys(self) -> list[str]:
        return sorted(recording.key for recording in self.recordings)


@asynccontextmanager
async def watching(folder: Path, taken: Taken, **options: object) -> AsyncIterator[None]:
    chosen = {
        "known": taken.known,
        "wanted": lambda key, uri: True,
        "clock": time.time,
        "tally": NoTally(),
        "settle": SETTLE,
    } | options
    watch = asyncio.create_task(Folder(folder, **chosen).watch(taken))
    try:
        yield
        assert not watch.done()
    finally:
        watch.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(asyncio.CancelledError):
                await watch


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def logs() -> Iterator[list[dict[str, object]]]:
    with capture_logs() as entries:
        yield entries


@contextmanager
def without_privileges() -> Iterator[Path]:
    """A folder, and no right to read what may not be read, even where the tests run as root."""
    folder = Path(tempfile.mkdtemp())
    before = os.geteuid()
    if before == 0:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(before)
        shutil.rmtree(folder)


def drop(inbox: Path, key: str, content: bytes = b"sound") -> Path:
    path = inbox / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def told(logs: list[dict[str, object]], event: str) -> list[tuple[object, object]]:
    return sorted((entry["key"], entry["reason"]) for entry in logs if entry["event"] == event and "key" in entry)


async def test_what_lay_there_at_rest_is_handed_over_at_once(inbox: Path) -> None:
    path = drop(inbox, "calls/one.mp3")
    taken = Taken()
    async with watching(inbox, taken, settle=1000, clock=lambda: time.time() + 1001):
        await until(lambda: bool(taken.recordings))
    [recording] = taken.recordings
    assert recording.model_dump(exclude={"dropped_at"}) == {
        "kind": "file",
        "uri": path.as_uri(),
        "key": "calls/one.mp3",
        "name": "one.mp3",
        "location": str(path),
        "size": 5,
        "version": None,
        "digest": hashlib.sha256(b"sound").hexdigest(),
        "metadata": {},
    }
    assert recording.dropped_at.endswith("Z")
    assert taken.names == {f"file:calls/one.mp3:5:{path.stat().st_mtime_ns}"}


@pytest.mark.parametrize("live", [False, True])
async def test_any_name_works(inbox: Path, live: bool) -> None:
    taken = Taken()
    if live:
        async with watching(inbox, taken):
            drop(inbox, "first.mp3")
            await until(lambda: bool(taken.recordings))
            for name in NAMES:
                drop(inbox, name)
            await until(lambda: len(taken.recordings) > len(NAMES))
        assert taken.keys == sorted([*NAMES, "first.mp3"])
    else:
        for name in NAMES:
            drop(inbox, name)
        async with watching(inbox, taken):
            await until(lambda: len(taken.recordings) == len(NAMES))
        assert taken.keys == sorted(NAMES)
    assert all(recording.location == f"{inbox}/{recording.key}" for recording in taken.recordings)


async def test_a_folder_that_is_moved_in_brings_its_files(inbox: Path, tmp_path: Path) -> None:
    drop(tmp_path, "elsewhere/a/b/one.mp3")
    taken = Taken()
    async with watching(inbox, taken, rescan=1000):
        drop(inbox, "first.mp3")
        await until(lambda: taken.keys == ["first.mp3"])
        (tmp_path / "elsewhere").rename(inbox / "moved")
        await until(lambda: taken.keys == ["first.mp3", "moved/a/b/one.mp3"])
        drop(inbox, "moved/a/b/two.mp3")
        await until(lambda: len(taken.recordings) == 3)


async def test_a_restart_reads_nothing_again_and_takes_what_came_while_it_was_down(inbox: Path) -> None:
    taken = Taken()
    drop(inbox, "one.mp3")
    async with watching(inbox, taken):
        await until(lambda: taken.keys == ["one.mp3"])
    drop(inbox, "two.mp3")
    (inbox / "one.mp3").chmod(0o600)
    async with watching(inbox, taken):
        await until(lambda: "two.mp3" in taken.keys)
        drop(inbox, "three.mp3")
        await until(lambda: "three.mp3" in taken.keys)
    assert taken.keys == ["one.mp3", "three.mp3", "two.mp3"]


async def test_a_file_that_is_still_written_is_not_taken(inbox: Path) -> None:
    taken = Taken()
    async with watching(inbox, taken, settle=0.5):
        with (inbox / "growing.mp3").open("wb", buffering=0) as file:
            for _ in range(40):
                file.write(b"sound")
                await asyncio.sleep(0.02)
                assert not taken.recordings
        await until(lambda: bool(taken.recordings))
    assert [recording.size for recording in taken.recordings] == [200]


async def test_changed_content_under_the_same_name_is_another_recording(inbox: Path) -> None:
    taken = Taken()
    async with watching(inbox, taken):
        drop(inbox, "one.mp3", b"first")
        await until(lambda: len(taken.recordings) == 1)
        drop(inbox, "one.mp3", b"other")
        await until(lambda: len(taken.recordings) == 2)
    assert len({recording.digest for recording in taken.recordings}) == 2


async def test_a_time_of_change_in_the_future_does_not_keep_a_file_waiting(inbox: Path) -> None:
    ahead = time.time() + 86400
    os.utime(drop(inbox, "ahead.mp3"), (ahead, ahead))
    taken = Taken()
    async with watching(inbox, taken):
        await until(lambda: taken.keys == ["ahead.mp3"])


async def test_what_cannot_be_a_recording_is_left_alone_and_told_once(
    inbox: Path, tmp_path: Path, logs: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (".hidden.mp3", ".git/objects/a", "x.mp3.part", "x.crdownload", "x.tmp", "x.mp3~", "Thumbs.db"):
        drop(inbox, name)
    drop(inbox, "empty.mp3", b"")
    outside = drop(tmp_path, "outside/secret.mp3")
    (inbox / "out.mp3").symlink_to(outside)
    (inbox / "out").symlink_to(outside.parent)
    (inbox / "loop").symlink_to(inbox)
    (inbox / "loop.mp3").symlink_to("loop.mp3")
    (inbox / "nowhere.mp3").symlink_to("nothing.mp3")
    os.mkfifo(inbox / "pipe.mp3")
    drop(inbox, "bad\udcff.mp3")
    listener = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(inbox)  # a socket's path must be short
    listener.bind("socket.mp3")
    taken = Taken()
    expected = [
        (".git", "hidden"),
        (".hidden.mp3", "hidden"),
        ("Thumbs.db", "the operating system's own"),
        ("bad\\xff.mp3", "its name is not UTF-8"),
        ("empty.mp3", "empty"),
        ("loop", "a link to a folder"),
        ("loop.mp3", "a link that leads nowhere"),
        ("nowhere.mp3", "a link that leads nowhere"),
        ("out", "a link that leads out of the folder"),
        ("out.mp3", "a link that leads out of the folder"),
        ("pipe.mp3", "not a regular file"),
        ("socket.mp3", "not a regular file"),
        ("x.crdownload", "temporary"),
        ("x.mp3.part", "temporary"),
        ("x.mp3~", "temporary"),
        ("x.tmp", "temporary"),
    ]
    with listener:
        async with watching(inbox, taken, rescan=0.02):
            await until(lambda: len(told(logs, "drop.ignored")) == len(expected))
            for name in (".hidden.mp3", "empty.mp3"):
                (inbox / name).touch()
            drop(inbox, "good.mp3")
            await until(lambda: taken.keys == ["good.mp3"])
    assert told(logs, "drop.ignored") == expected


async def test_a_link_to_a_file_inside_is_that_file_under_its_own_name(inbox: Path) -> None:
    target = drop(inbox, "one.mp3")
    (inbox / "linked.mp3").symlink_to(target)
    taken = Taken()
    async with watching(inbox, taken):
        await until(lambda: taken.keys == ["linked.mp3", "one.mp3"])
    assert len({recording.digest for recording in taken.recordings}) == 1


async def test_an_empty_file_is_taken_once_it_has_grown(inbox: Path, logs: list[dict[str, object]]) -> None:
    path = drop(inbox, "late.mp3", b"")
    taken = Taken()
    async with watching(inbox, taken, rescan=1000):
        await until(lambda: told(logs, "drop.ignored") == [("late.mp3", "empty")])
        path.write_bytes(b"sound")
        await until(lambda: taken.keys == ["late.mp3"])


async def test_a_temporary_file_is_taken_under_its_final_name(inbox: Path, logs: list[dict[str, object]]) -> None:
    taken = Taken()
    async with watching(inbox, taken, rescan=1000):
        drop(inbox, "one.mp3.part")
        await until(lambda: told(logs, "drop.ignored") == [("one.mp3.part", "temporary")])
        (inbox / "one.mp3.part").rename(inbox / "one.mp3")
        await until(lambda: taken.keys == ["one.mp3"])


async def test_a_name_that_is_not_utf8_does_not_stop_the_watch(inbox: Path, logs: list[dict[str, object]]) -> None:
    taken = Taken()
    async with watching(inbox, taken, rescan=1000):
        drop(inbox, "one.mp3")
        await until(lambda: taken.keys == ["one.mp3"])
        drop(inbox, "bad\udcff.mp3")
        await until(lambda: told(logs, "drop.ignored") == [("bad\\xff.mp3", "its name is not UTF-8")])
        drop(inbox, "two.mp3")
        await until(lambda: taken.keys == ["one.mp3", "two.mp3"])


async def test_what_cannot_be_read_is_told_once_and_taken_when_it_can(logs: list[dict[str, object]]) -> None:
    with without_privileges() as inbox:
        path = drop(inbox, "locked.mp3")
        path.chmod(0)
        drop(inbox, "closed/one.mp3")
        (inbox / "closed").chmod(0)
        taken = Taken()
        async with watching(inbox, taken, rescan=0.1):
            drop(inbox, "good.mp3")
            await until(lambda: taken.keys == ["good.mp3"])
            await until(lambda: len(told(logs, "drop.unreadable")) == 2)
            path.chmod(0o600)
            (inbox / "closed").chmod(0o700)
            await until(lambda: taken.keys == ["closed/one.mp3", "good.mp3", "locked.mp3"])
    assert told(logs, "drop.unreadable") == [("closed", "Permission denied"), ("locked.mp3", "Permission denied")]


async def test_our_own_files_inside_are_passed_over_without_a_word(inbox: Path, logs: list[dict[str, object]]) -> None:
    for name in ("results/calls/one.mp3/job/result.json", "events.jsonl", "jobs.db", "jobs.db-wal"):
        drop(inbox, name)
    (inbox / "peek.json").symlink_to(inbox / "results/calls/one.mp3/job/result.json")
    exclude = [inbox / "results", inbox / "events.jsonl", inbox / "jobs.db"]
    taken = Taken()
    async with watching(inbox, taken, exclude=exclude):
        drop(inbox, "results-2026.mp3")
        await until(lambda: taken.keys == ["results-2026.mp3"])
        drop(inbox, "results/calls/two.mp3/job/result.json")
        drop(inbox, "last.mp3")
        await until(lambda: len(taken.recordings) == 2)
    assert taken.keys == ["last.mp3", "results-2026.mp3"]
    assert told(logs, "drop.ignored") == [("peek.json", "a link that leads out of the folder")]


@pytest.mark.parametrize("place", [".", ".."])
def test_results_that_would_come_in_as_recordings_are_refused(inbox: Path, place: str) -> None:
    with pytest.raises(Refused, match="choose a place beside that folder"):
        Folder(
            inbox,
            known=Taken().known,
            wanted=lambda key, uri: True,
            clock=time.time,
            tally=NoTally(),
            exclude=[inbox / place],
        )


@pytest.mark.parametrize("trouble", [Unavailable("the results are away"), StoreTrouble("the store is locked")])
async def test_a_drop_that_cannot_be_taken_now_is_handed_over_again(
    inbox: Path, trouble: Exception, logs: list[dict[str, object]]
) -> None:
    taken = Taken(trouble=[trouble])
    async with watching(inbox, taken):
        drop(inbox, "one.mp3")
        await until(lambda: not taken.trouble)
        drop(inbox, "two.mp3")
        await until(lambda: "two.mp3" in taken.keys)
        await until(lambda: taken.keys == ["one.mp3", "two.mp3"])
    assert told(logs, "drops.failed") == [("one.mp3", str(trouble))]


async def test_what_no_pipeline_wants_is_handed_over_unread(inbox: Path) -> None:
    drop(inbox, "film.mkv")
    drop(inbox, "one.mp3")
    taken = Taken()
    async with watching(inbox, taken, wanted=lambda key, uri: key.endswith(".mp3") and uri.startswith("file:///")):
        await until(lambda: len(taken.recordings) == 2)
    assert {recording.key: recording.digest is None for recording in taken.recordings} == {
        "film.mkv": True,
        "one.mp3": False,
    }


async def test_a_missing_folder_is_made_and_one_that_vanishes_is_waited_for(
    tmp_path: Path, logs: list[dict[str, object]]
) -> None:
    inbox = tmp_path / "not" / "yet"
    taken = Taken()
    async with watching(inbox, taken):
        await until(lambda: any(entry["event"] == "drops.watched" for entry in logs))
        drop(inbox, "one.mp3")
        await until(lambda: taken.keys == ["one.mp3"])
        inbox.rename(tmp_path / "away")
        await until(lambda: any(entry["event"] == "drops.failed" for entry in logs))
        assert not inbox.exists()
        drop(inbox, "two.mp3")
        await until(lambda: taken.keys == ["one.mp3", "two.mp3"])
        drop(inbox, "three.mp3")
        await until(lambda: len(taken.recordings) == 3)
    assert [entry["reason"] for entry in logs if entry["event"] == "drops.failed"] == ["No such file or directory"]


async def test_a_lost_notice_is_made_up_for_by_the_rescan(inbox: Path) -> None:
    taken = Taken()

    class Deaf(Folder):
        async def _notice(self, paths: object, arrivals: object) -> None:
            """Every notice is lost."""

    folder = Deaf(
        inbox,
        known=taken.known,
        wanted=lambda key, uri: True,
        clock=time.time,
        tally=NoTally(),
        settle=SETTLE,
        rescan=0.1,
    )
    watch = asyncio.create_task(folder.watch(taken))
    try:
        for number in range(3):
            drop(inbox, f"{number}.mp3")
            await until(lambda count=number + 1: len(taken.recordings) == count)
    finally:
        watch.cancel()
        await asyncio.wait([watch])
