"""What every store of results promises: whole or absent, the first writer keeps it."""

import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from service.adapters.results.folder import FolderResults
from service.domain.job import JobId
from service.domain.places import place
from service.ports import Results

JOB = JobId("job_" + "0f" * 16)
JSON = "application/json"

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder_results(tmp_path: Path) -> FolderResults:
    return FolderResults(tmp_path / "results")


@pytest.fixture(params=["folder_results"])
def results(request: pytest.FixtureRequest) -> Results:
    store: Results = request.getfixturevalue(request.param)
    return store


async def test_what_was_put_is_read_back(results: Results) -> None:
    assert await results.put_new("calls/a b.mp3/x.json", b"{}", JSON)
    assert await results.get("calls/a b.mp3/x.json") == b"{}"


async def test_nothing_is_read_where_nothing_was_put(results: Results) -> None:
    assert await results.get("calls/a.json") is None
    await results.put_new("calls/a.json", b"1", JSON)
    assert await results.get("calls/b.json") is None
    assert await results.get("other/a.json") is None


async def test_the_second_writer_loses_and_reads_the_first(results: Results) -> None:
    assert await results.put_new("a.json", b"first", JSON)
    assert not await results.put_new("a.json", b"second", JSON)
    assert await results.get("a.json") == b"first"


async def test_of_many_writers_at_once_exactly_one_is_first(results: Results) -> None:
    won: list[int] = []

    async def put(number: int) -> None:
        if await results.put_new("calls/deep/er/a.json", b"%d" % number * 10_000, JSON):
            won.append(number)

    async with anyio.create_task_group() as group:
        for number in range(1, 17):
            group.start_soon(put, number)
    assert len(won) == 1
    assert await results.get("calls/deep/er/a.json") == b"%d" % won[0] * 10_000


async def test_an_empty_body_is_a_body(results: Results) -> None:
    assert await results.put_new("calls/empty.txt", b"", "text/plain")
    assert not await results.put_new("calls/empty.txt", b"x", "text/plain")
    assert await results.get("calls/empty.txt") == b""


@pytest.mark.parametrize(
    "key",
    ["../../etc/passwd", "/etc/passwd", "a//b", "a/", ".", "\0", " ", "a\nb", "ü/🎙'\"%2F.mp3", "x" * 255, "ü/" * 900],
)
async def test_results_of_any_recording_find_room(results: Results, key: str) -> None:
    where = place("calls", key, JOB)
    for file in (where.transcript_json, where.answer("summary", 1), where.answer("summary", 2), where.result(2)):
        assert await results.put_new(file, file.encode(), JSON)
        assert await results.get(file) == file.encode()


@pytest.mark.parametrize("key", ["../a", "a/../../b", "/a", "a//b", "a/", "", ".", "a/./b", "a\0b"])
async def test_an_unsafe_key_is_a_mistake_of_ours_and_refused(results: Results, key: str) -> None:
    with pytest.raises(ValueError, match="not a safe key"):
        await results.put_new(key, b"x", JSON)
    with pytest.raises(ValueError, match="not a safe key"):
        await results.get(key)


WRITER = """
import asyncio, os, sys
from pathlib import Path
from service.adapters.results.folder import FolderResults

async def write():
    store = FolderResults(Path(sys.argv[1]))
    for number in range(1000):
        await store.put_new(f"calls/{number % 7}/{number}.json", b"x" * 200_000, "application/json")
        print(number, flush=True)

asyncio.run(write())
"""


def killed_while_writing(root: Path, after: int) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= after:
                writer.kill()
                break


async def test_a_killed_writer_leaves_files_whole_or_absent(tmp_path: Path) -> None:
    root = tmp_path / "results"
    for after in (0, 3, 11):
        await anyio.to_thread.run_sync(killed_while_writing, root, after)
    assert list(root.rglob("*.json"))
    assert {len(file.read_bytes()) for file in root.rglob("*.json")} == {200_000}
    store = FolderResults(root)
    for folder in root.glob("calls/*"):
        await store.put_new(f"calls/{folder.name}/last.json", b"{}", JSON)
    assert not list(root.rglob("*.part"))
