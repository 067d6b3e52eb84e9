"""How files wait, are hashed and handed over, one step at a time."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import pytest

from service.adapters.drops import arrivals as room
from service.adapters.drops import describe
from service.adapters.drops.arrivals import Arrivals, pause
from service.adapters.drops.folder import Folder
from service.adapters.drops.grounds import Found, Grounds
from service.domain.errors import Throttled
from service.domain.job import Recording
from service.domain.tally import NoTally
from tests.contract.dropping import until

pytestmark = pytest.mark.anyio


class Stirring(Grounds):
    """A folder whose files change each time they are looked at, so many times."""

    times = 0

    def look(self, key: str) -> object:
        if self.times:
            self.times -= 1
            with self.path(key).open("ab") as file:
                file.write(b"more")
        return super().look(key)


def arrivals(grounds: Grounds, take: Callable[[Recording, Sequence[str]], object], **options: object) -> Arrivals:
    async def unknown(name: str) -> bool:
        return False

    return Arrivals(
        grounds,
        take,
        **{
            "known": unknown,
            "wanted": lambda key, uri: True,
            "clock": time.time,
            "tally": NoTally(),
            "settle": 0.01,
        }
        | options,
    )


async def attended(subject: Arrivals, done: asyncio.Event) -> None:
    attending = asyncio.create_task(subject.attend())
    async with asyncio.timeout(30):
        await done.wait()
    attending.cancel()
    await asyncio.wait([attending])
    subject.close()


def found(grounds: Grounds, key: str) -> Found:
    standing = Grounds(grounds.root).look(key)
    assert isinstance(standing, Found)
    return standing


async def test_a_file_waits_for_as_long_as_it_changes(tmp_path: Path) -> None:
    (tmp_path / "one.mp3").write_bytes(b"")
    grounds = Stirring(tmp_path)
    grounds.times = 3
    done = asyncio.Event()
    sizes = []

    async def take(recording: Recording, names: Sequence[str]) -> None:
        sizes.append((recording.size, grounds.times))
        done.set()

    subject = arrivals(grounds, take)
    subject.notice(found(grounds, "one.mp3"), urgent=True)
    await attended(subject, done)
    assert sizes == [(12, 0)]


async def test_a_file_that_changes_while_it_is_read_waits_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.mp3"
    path.write_bytes(b"half")
    grounds = Grounds(tmp_path)
    done = asyncio.Event()
    taken = []
    measured = describe.measured
    growth = [b" and", b" whole"]

    async def slowly(file: Path) -> object:
        if growth:
            with path.open("ab") as more:
                more.write(growth.pop(0))
        return await measured(file)

    async def take(recording: Recording, names: Sequence[str]) -> None:
        taken.append(recording.size)
        done.set()

    monkeypatch.setattr(room, "measured", slowly)
    subject = arrivals(grounds, take)
    subject.notice(found(grounds, "one.mp3"), urgent=True)
    await attended(subject, done)
    assert taken == [len(b"half and whole")]


async def test_a_change_while_the_file_is_handed_over_is_not_missed(tmp_path: Path) -> None:
    path = tmp_path / "one.mp3"
    path.write_bytes(b"first")
    grounds = Grounds(tmp_path)
    done = asyncio.Event()
    sizes = []

    async def take(recording: Recording, names: Sequence[str]) -> None:
        sizes.append(recording.size)
        if len(sizes) == 1:
            path.write_bytes(b"and more")
            subject.notice(found(grounds, "one.mp3"), urgent=True)
        else:
            done.set()

    subject = arrivals(grounds, take)
    subject.notice(found(grounds, "one.mp3"), urgent=True)
    await attended(subject, done)
    assert sizes == [5, 8]


async def test_what_just_came_goes_before_what_is_caught_up_on(tmp_path: Path) -> None:
    grounds = Grounds(tmp_path)
    done = asyncio.Event()
    order = []

    async def take(recording: Recording, names: Sequence[str]) -> None:
        order.append(recording.key)
        if len(order) == 1:
            (tmp_path / "fresh.mp3").write_bytes(b"fresh")
            subject.notice(found(grounds, "fresh.mp3"), urgent=True)
        if len(order) == 4:
            done.set()

    subject = arrivals(grounds, take, clock=lambda: time.time() + 100, settle=0.0)
    for number in range(3):
        (tmp_path / f"old{number}.mp3").write_bytes(b"old")
        subject.notice(found(grounds, f"old{number}.mp3"), urgent=False)
    await attended(subject, done)
    assert order == ["old0.mp3", "fresh.mp3", "old1.mp3", "old2.mp3"]


async def test_what_is_gone_is_forgotten_and_taken_again_when_it_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "one.mp3"
    path.write_bytes(b"sound")
    grounds = Grounds(tmp_path)
    standing = found(grounds, "one.mp3")
    taken = asyncio.Queue()

    async def take(recording: Recording, names: Sequence[str]) -> None:
        taken.put_nowait(recording.key)

    subject = arrivals(grounds, take)
    attending = asyncio.create_task(subject.attend())
    async with asyncio.timeout(30):
        subject.notice(standing, urgent=True)
        await taken.get()
        await until(lambda: subject._files["one.mp3"].done is not None)
        subject.notice(standing, urgent=True)
        assert not subject._files["one.mp3"].waits
        subject.begin_scan()
        subject.end_scan()
        assert subject._files == {}
        subject.notice(standing, urgent=True)
        await taken.get()
        path.unlink()
        subject.begin_scan()
        subject.notice(Found("gone.mp3", standing.stamp, 0.0), urgent=False)
        await until(lambda: not subject._files["gone.mp3"].waits)
    attending.cancel()
    await asyncio.wait([attending])
    assert taken.empty()


async def test_nothing_is_looked_at_once_the_watch_has_ended(tmp_path: Path) -> None:
    (tmp_path / "one.mp3").write_bytes(b"sound")
    grounds = Grounds(tmp_path)

    async def take(recording: Recording, names: Sequence[str]) -> None:
        """Never called."""

    subject = arrivals(grounds, take)
    subject.notice(found(grounds, "one.mp3"), urgent=True)
    timer = subject._files["one.mp3"].timer
    assert timer is not None
    subject.close()
    assert timer.cancelled()


async def test_reading_a_large_file_is_given_up_at_once_when_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "endless.mp3"
    path.write_bytes(b"sound")
    reading, over = threading.Event(), threading.Event()

    class Endless:
        """A hash of a file that never ends, gone when nobody reads on."""

        def update(self, piece: bytes) -> None:
            with path.open("ab") as file:
                file.write(b"more")
            reading.set()

        def __del__(self) -> None:
            over.set()

    monkeypatch.setattr(describe, "sha256", Endless)
    hashing = asyncio.create_task(describe.measured(path))
    async with asyncio.timeout(30):
        await asyncio.to_thread(reading.wait, 5)
        hashing.cancel()
        await asyncio.wait([hashing])
        await until(over.is_set)
    assert hashing.cancelled()


async def test_the_watch_ends_with_the_scope_it_runs_in(tmp_path: Path) -> None:
    async def nothing(*_: object) -> bool:
        return True

    folder = Folder(tmp_path, known=nothing, wanted=lambda key, uri: True, clock=time.time, tally=NoTally(), readers=1)
    began = time.monotonic()
    with anyio.move_on_after(0.2) as scope:
        await folder.watch(nothing)
    assert scope.cancelled_caught
    assert time.monotonic() - began < 5


def test_pauses_grow_up_to_a_minute_and_obey_the_other_side() -> None:
    assert [pause(failures, None) for failures in (1, 2, 3, 7, 1000)] == [1, 2, 4, 60, 60]
    assert pause(1, Throttled("slow down", retry_after=90).retry_after) == 90


def test_a_folder_that_fails_for_days_is_tried_on_and_on() -> None:
    assert pause(5_000, None) == room.LONGEST_PAUSE
