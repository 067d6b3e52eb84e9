"""Files as the vendor gets them: what was announced, or nothing."""

import asyncio
import hashlib
import os
import threading
import time
from io import BufferedReader, FileIO
from pathlib import Path

import pytest

from service.adapters.drops import describe as describing
from service.adapters.drops.describe import describe
from service.adapters.recordings import files
from service.adapters.recordings.files import Files
from service.domain.errors import RecordingMissing, RecordingReplaced
from service.domain.job import Recording

pytestmark = pytest.mark.anyio

LARGE = os.urandom(1024) * 2500
"""2.4 MiB: two whole pieces and a rest."""


def clock() -> float:
    return 1_800_000_000.25


async def dropped(path: Path) -> Recording:
    append(path, LARGE)
    return await describe(path, path.name, clock)


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def remove(recording: Recording) -> None:
    Path(recording.location).unlink()


async def read(recording: Recording) -> list[bytes]:
    async with Files(time.time).open(recording) as sound:
        assert sound.size == recording.size
        return [chunk async for chunk in sound.chunks()]


async def test_a_file_is_described_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a b%.mp3"
    path.write_bytes(LARGE)
    recording = await describe(path, "calls/a b%.mp3", clock, {"agent": "Ada"})
    assert recording.size == len(LARGE)
    assert recording.digest == hashlib.sha256(LARGE).hexdigest()
    assert recording.uri == f"file://{tmp_path}/a%20b%25.mp3"
    assert (recording.key, recording.name, recording.location) == ("calls/a b%.mp3", "a b%.mp3", str(path))
    assert recording.dropped_at == "2027-01-15T08:00:00.250Z"
    assert recording.metadata == {"agent": "Ada"}


async def test_a_file_has_one_location_whichever_way_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "calls").mkdir()
    (tmp_path / "way").symlink_to("calls")
    (tmp_path / "calls" / "one.mp3").write_bytes(b"sound")
    monkeypatch.chdir(tmp_path / "calls")
    ways = ["one.mp3", "../calls/one.mp3", "../way/one.mp3", str(tmp_path / "way" / ".." / "calls" / "one.mp3")]
    described = [await describe(Path(way), "one.mp3", clock) for way in ways]
    assert {recording.location for recording in described} == {str(tmp_path / "calls" / "one.mp3")}


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, Path.touch, lambda path: None])
async def test_what_is_no_file_with_content_cannot_be_described(make: object, tmp_path: Path) -> None:
    path = tmp_path / "one.mp3"
    make(path)
    with pytest.raises(RecordingMissing, match=r"one\.mp3 (cannot be read|is empty).*: name a file"):
        await describe(path, "one.mp3", clock)


async def test_a_file_that_changes_is_not_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one.mp3"
    append(path, LARGE)

    class Stirring:
        def update(self, piece: bytes) -> None:
            if path.stat().st_size == len(LARGE):
                append(path, b"more")

        def hexdigest(self) -> str:
            return "0" * 64

    monkeypatch.setattr(describing, "sha256", Stirring)
    with pytest.raises(RecordingReplaced, match=r"one\.mp3 changed while it was read: try again once it is complete"):
        await describe(path, "one.mp3", clock)


async def test_the_bytes_come_in_pieces_of_at_most_a_mebibyte(tmp_path: Path) -> None:
    pieces = await read(await dropped(tmp_path / "one.mp3"))
    assert b"".join(pieces) == LARGE
    assert [len(piece) for piece in pieces] == [2**20, 2**20, len(LARGE) - 2**21]


async def test_a_file_that_is_gone_is_missing_with_its_cure(tmp_path: Path) -> None:
    recording = await dropped(tmp_path / "one.mp3")
    remove(recording)
    with pytest.raises(RecordingMissing, match=r"one\.mp3 cannot be read \(No such file .*\): put it back"):
        await read(recording)


async def test_a_pipe_in_its_place_is_never_waited_for(tmp_path: Path) -> None:
    recording = await dropped(tmp_path / "one.mp3")
    remove(recording)
    os.mkfifo(recording.location)
    with pytest.raises(RecordingMissing, match="not a regular file"):
        await read(recording)


async def test_another_size_is_noticed_before_a_byte_is_read(tmp_path: Path) -> None:
    recording = await dropped(tmp_path / "one.mp3")
    (tmp_path / "one.mp3").write_bytes(LARGE + b"!")
    with pytest.raises(RecordingReplaced, match=f"has {len(LARGE) + 1} bytes, but {len(LARGE)} were dropped"):
        await read(recording)


async def test_other_content_of_the_same_size_is_noticed_at_the_end(tmp_path: Path) -> None:
    recording = await dropped(tmp_path / "one.mp3")
    (tmp_path / "one.mp3").write_bytes(LARGE[::-1])
    with pytest.raises(RecordingReplaced, match="no longer the recording that was dropped"):
        await read(recording)


@pytest.mark.parametrize("change", ["grow", "shrink", "touch"])
async def test_a_change_while_it_is_read_is_noticed(change: str, tmp_path: Path) -> None:
    recording = await dropped(tmp_path / "one.mp3")
    path = Path(recording.location)
    total = 0
    async with Files(time.time).open(recording) as sound:
        with pytest.raises(RecordingReplaced, match="changed while it was read"):  # noqa: PT012
            async for chunk in sound.chunks():
                total += len(chunk)
                if change == "shrink":
                    os.truncate(path, 2**20)
                elif change == "touch":
                    os.utime(path, (1, 1))
                elif total == len(chunk):
                    append(path, b"more" * 2**20)
    assert total <= len(LARGE)


async def test_a_disk_that_fails_while_it_is_read_is_told(tmp_path: Path) -> None:
    recording = await dropped(tmp_path / "one.mp3")
    async with Files(time.time).open(recording) as sound:

        class Failing:
            def read(self, size: int) -> bytes:
                raise OSError(5, "Input/output error")

        sound._file, file = Failing(), sound._file
        with pytest.raises(RecordingMissing, match="Input/output error"):
            _ = [chunk async for chunk in sound.chunks()]
        sound._file = file


async def test_a_cancelled_read_is_over_before_the_file_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = await dropped(tmp_path / "one.mp3")
    reading, go_on = threading.Event(), threading.Event()
    order = []

    class Slow(FileIO):
        def readinto(self, buffer: bytearray) -> int:
            reading.set()
            go_on.wait(5)
            order.append("read")
            return super().readinto(buffer)

        def close(self) -> None:
            order.append("closed")
            super().close()

    monkeypatch.setattr(files, "_open", lambda *_: BufferedReader(Slow(recording.location)))
    reader = asyncio.create_task(read(recording))
    async with asyncio.timeout(30):
        await asyncio.to_thread(reading.wait, 5)
        reader.cancel()
        await asyncio.wait([reader], timeout=0.1)
        assert order == []
        go_on.set()
        await asyncio.wait([reader])
    assert reader.cancelled()
    assert order.index("closed") == len(order) - 1
    assert "read" in order
