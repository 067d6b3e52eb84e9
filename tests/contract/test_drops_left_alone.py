"""What in a folder is no recording: left alone, told once, and never in the way of others."""

import os
import socket
import time
from pathlib import Path

import pytest

from service.adapters.drops.folder import Folder
from service.domain.errors import Refused
from service.domain.tally import NoTally
from tests.contract.dropping import Taken, drop, inbox, logs, told, until, watching, without_privileges

pytestmark = pytest.mark.anyio

__all__ = ["inbox", "logs"]


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
    assert not any(entry["event"] == "drops.failed" for entry in logs)


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


async def test_a_folder_moved_in_that_cannot_be_listed_is_told(logs: list[dict[str, object]]) -> None:
    with without_privileges() as place:
        (place / "inbox").mkdir()
        (place / "closed").mkdir(mode=0)
        taken = Taken()
        async with watching(place / "inbox", taken, rescan=1000):
            drop(place, "inbox/one.mp3")
            await until(lambda: bool(taken.recordings))
            (place / "closed").chmod(0o300)
            (place / "closed").rename(place / "inbox" / "closed")
            await until(lambda: told(logs, "drop.unreadable") == [("closed", "Permission denied")])
