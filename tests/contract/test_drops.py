"""What every place where recordings arrive must promise, on a real folder."""

import asyncio
import hashlib
import os
import time
from pathlib import Path

import pytest

from service.adapters.drops.folder import Folder
from service.domain.errors import Unavailable
from service.domain.tally import NoTally
from service.engine.errors import StoreTrouble
from tests.contract.dropping import SETTLE, Taken, drop, inbox, logs, told, until, watching

pytestmark = pytest.mark.anyio

__all__ = ["inbox", "logs"]

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
        "etag": None,
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


async def test_a_file_in_the_place_of_the_folder_is_told_once_and_waited_for(
    tmp_path: Path, logs: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = drop(tmp_path, "inbox")
    taken = Taken()
    tries = []

    def pause(failures: int, _: None) -> float:
        tries.append(failures)
        return 0.01

    monkeypatch.setattr("service.adapters.drops.folder.pause", pause)
    async with watching(inbox, taken):
        await until(lambda: tries[:3] == [1, 2, 3])
        inbox.rename(tmp_path / "away")
        await until(lambda: any(entry["event"] == "drops.watched" for entry in logs))
        drop(inbox, "one.mp3")
        await until(lambda: taken.keys == ["one.mp3"])
    assert [entry["reason"] for entry in logs if entry["event"] == "drops.failed"] == ["File exists"]


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
