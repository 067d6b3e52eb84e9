"""Results in a folder: what is particular to folders, and everything that can be wrong with one."""

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import anyio
import pytest

from service.adapters.results import whole_file
from service.adapters.results.folder import FolderResults
from service.domain.errors import StorageTrouble, Unavailable

JSON = "application/json"

pytestmark = pytest.mark.anyio


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "results"


@pytest.fixture
def results(root: Path) -> FolderResults:
    return FolderResults(root)


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def failing(code: int) -> Callable[..., None]:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


async def test_a_uri_leads_to_the_file(root: Path, results: FolderResults) -> None:
    await results.put_new("calls/a b%ü?#.mp3/x.json", b"1", JSON)
    uri = results.uri("calls/a b%ü?#.mp3/x.json")
    assert unquote(urlsplit(uri).path) == f"{root}/calls/a b%ü?#.mp3/x.json"
    assert uri == (root / "calls/a b%ü?#.mp3/x.json").as_uri()


async def test_a_relative_root_is_meant_from_where_the_service_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results = FolderResults(Path("results"))
    monkeypatch.chdir("/")
    await results.put_new("a.json", b"1", JSON)
    assert (tmp_path / "results" / "a.json").read_bytes() == b"1"


async def test_nothing_but_the_file_is_left(root: Path, results: FolderResults) -> None:
    await results.put_new("calls/a.json", b"1", JSON)
    await results.put_new("calls/a.json", b"2", JSON)
    assert [path.name for path in (root / "calls").iterdir()] == ["a.json"]


async def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "disk")
    assert await FolderResults(tmp_path / "results").put_new("a.json", b"1", JSON)
    assert (tmp_path / "disk" / "a.json").read_bytes() == b"1"


@pytest.mark.parametrize("key", ["calls/a.json", "calls/deeper/a.json"])
async def test_a_link_below_the_root_is_not_followed(
    tmp_path: Path, root: Path, results: FolderResults, key: str
) -> None:
    outside = tmp_path / "outside"
    (outside / "deeper").mkdir(parents=True)
    (outside / "a.json").write_bytes(b"secret")
    made(root)
    (root / "calls").symlink_to(outside)
    for attempt in (results.put_new(key, b"x", JSON), results.get(key)):
        with pytest.raises(Unavailable, match=f"{root}/{key} cannot be reached: a link or a file stands"):
            await attempt
    assert not (outside / "deeper" / "a.json").exists()


async def test_a_link_in_place_of_a_file_is_neither_read_nor_taken_for_ours(
    tmp_path: Path, root: Path, results: FolderResults
) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    made(root)
    (root / "a.json").symlink_to(tmp_path / "secret")
    (root / "b.json").symlink_to(tmp_path / "missing")
    for key in ("a.json", "b.json"):
        with pytest.raises(Unavailable, match="a link or a file stands"):
            await results.get(key)
        with pytest.raises(Unavailable, match="a link or a file stands"):
            await results.put_new(key, b"x", JSON)
    assert not (tmp_path / "missing").exists()


async def test_a_folder_or_a_pipe_in_place_of_a_file_is_told_and_waits_for_nobody(
    root: Path, results: FolderResults
) -> None:
    (root / "a.json").mkdir(parents=True)
    os.mkfifo(root / "b.json")
    for key in ("a.json", "b.json"):
        with pytest.raises(Unavailable, match="a link or a file stands"):
            await results.put_new(key, b"x", JSON)
        with anyio.fail_after(5), pytest.raises(Unavailable, match="a link or a file stands"):
            await results.get(key)


async def test_a_file_in_place_of_the_root_is_told(tmp_path: Path) -> None:
    (tmp_path / "results").write_bytes(b"")
    with pytest.raises(Unavailable, match="a link or a file stands"):
        await FolderResults(tmp_path / "results").put_new("a.json", b"x", JSON)


async def test_what_is_too_large_to_be_ours_is_not_read(root: Path) -> None:
    results = FolderResults(root, largest=10)
    await results.put_new("a.json", b"x" * 10, JSON)
    await results.put_new("b.json", b"x" * 11, JSON)
    assert await results.get("a.json") == b"x" * 10
    with pytest.raises(Unavailable, match=r"b\.json has 11 bytes, too many to be ours; move it away"):
        await results.get("b.json")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.ENOSPC, "the results folder {root} is full; make room and the work goes on by itself"),
        (errno.EDQUOT, "the results folder {root} is full; make room and the work goes on by itself"),
        (errno.EROFS, "the results folder {root} may not be read or written; give the service the right to it"),
        (errno.EACCES, "the results folder {root} may not be read or written; give the service the right to it"),
        (errno.EIO, "the results folder {root} does not work (Input/output error); check the disk"),
        (errno.ENOENT, "the results folder {root} does not work (No such file or directory); check the disk"),
    ],
)
async def test_a_disk_that_fails_is_told_and_leaves_nothing_behind(
    root: Path, results: FolderResults, monkeypatch: pytest.MonkeyPatch, code: int, sentence: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing(code))
        with pytest.raises(Unavailable) as told:
            await results.put_new("calls/a.json", b"x", JSON)
    assert str(told.value) == sentence.format(root=root)
    assert not list((root / "calls").iterdir())
    assert await results.put_new("calls/a.json", b"x", JSON)


async def test_what_was_not_brought_to_the_disk_does_not_count_as_put(
    results: FolderResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO))
        with pytest.raises(Unavailable, match="check the disk"):
            await results.put_new("calls/a.json", b"x", JSON)
    assert await results.get("calls/a.json") is None


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
async def test_a_link_that_fails_for_another_reason_is_told(
    results: FolderResults, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(os, "link", failing(code))
    with pytest.raises(Unavailable):
        await results.put_new("a.json", b"x", JSON)
    assert await results.get("a.json") is None


async def test_file_systems_without_folder_syncs_will_do(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true_fsync = os.fsync

    def files_only(file: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{file}"):  # noqa: PTH112 - asks after a descriptor
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        true_fsync(file)

    monkeypatch.setattr(os, "fsync", files_only)
    assert await FolderResults(root).put_new("a.json", b"x", JSON)


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
async def test_without_links_the_first_writer_keeps_it_all_the_same(
    root: Path, results: FolderResults, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(os, "link", failing(code))
    won: list[int] = []

    async def put(number: int) -> None:
        if await results.put_new("calls/a.json", b"%d" % number * 10_000, JSON):
            won.append(number)

    async with anyio.create_task_group() as group:
        for number in range(1, 9):
            group.start_soon(put, number)
    assert len(won) == 1
    assert await results.get("calls/a.json") == b"%d" % won[0] * 10_000
    assert [path.name for path in (root / "calls").iterdir()] == ["a.json"]


async def test_without_links_a_writer_overtaken_under_the_lock_loses(
    root: Path, results: FolderResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*args: object, **kwargs: object) -> None:
        (root / "a.json").write_bytes(b"first")
        failing(errno.EPERM)()

    monkeypatch.setattr(os, "link", overtaken)
    assert not await results.put_new("a.json", b"second", JSON)
    assert await results.get("a.json") == b"first"


async def test_a_writer_overtaken_before_the_link_loses(
    root: Path, results: FolderResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_link = os.link

    def overtaken(part: str, name: str, *, src_dir_fd: int, dst_dir_fd: int, follow_symlinks: bool) -> None:
        (root / "a.json").write_bytes(b"first")
        true_link(part, name, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "link", overtaken)
    assert not await results.put_new("a.json", b"second", JSON)
    assert await results.get("a.json") == b"first"


async def test_without_links_the_wait_for_another_writer_is_bounded(
    root: Path, results: FolderResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(root)
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    monkeypatch.setattr(whole_file, "LOCK_WAIT", 0.05)
    other = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="No locks available"):
            await results.put_new("a.json", b"x", JSON)
    finally:
        os.close(other)
    assert await results.put_new("a.json", b"x", JSON)


async def test_what_a_crash_left_is_removed_but_not_what_is_being_written(root: Path, results: FolderResults) -> None:
    folder = root / "calls"
    folder.mkdir(parents=True)
    (folder / ".0123456789abcdef.part").write_bytes(b"left")
    (folder / ".notes").write_bytes(b"not ours")
    os.mkfifo(folder / ".pipe.part")
    with (folder / ".fedcba9876543210.part").open("wb") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        await results.put_new("calls/a.json", b"x", JSON)
    assert sorted(path.name for path in folder.iterdir()) == [
        ".fedcba9876543210.part",
        ".notes",
        ".pipe.part",
        "a.json",
    ]


async def test_a_new_file_taken_for_a_leftover_is_begun_again(
    root: Path, results: FolderResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_flock = fcntl.flock
    taken: list[Path] = []

    def late(file: int, operation: int) -> None:
        if not taken:
            taken.extend(root.glob(".*.part"))
            taken[0].unlink()
        true_flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    assert await results.put_new("a.json", b"x", JSON)
    assert len(taken) == 1
    assert await results.get("a.json") == b"x"


async def test_a_folder_that_another_process_makes_first_will_do(
    root: Path, results: FolderResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_mkdir = os.mkdir

    def late(name: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        true_mkdir(name, mode, dir_fd=dir_fd)
        if name == "calls":
            raise FileExistsError

    monkeypatch.setattr(os, "mkdir", late)
    assert await results.put_new("calls/a.json", b"x", JSON)


async def test_bytes_are_on_the_disk_before_the_name_and_every_new_name_before_put_returns(
    root: Path, results: FolderResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_fsync, true_link = os.fsync, os.link
    done: list[str] = []

    def fsync(file: int) -> None:
        path = Path(f"/proc/self/fd/{file}").readlink()
        done.append(f"sync {path.suffix or path.name}")
        true_fsync(file)

    def link(part: str, name: str, *, src_dir_fd: int, dst_dir_fd: int, follow_symlinks: bool) -> None:
        done.append(f"link {name}")
        true_link(part, name, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    await results.put_new("calls/a.json", b"x", JSON)
    assert done == ["sync deep", "sync results", "sync .part", "link a.json", "sync calls"]
    done.clear()
    assert not await results.put_new("calls/a.json", b"x", JSON)
    assert done == ["sync calls"]


async def test_another_folder_in_its_place_is_not_taken_for_it(root: Path, results: FolderResults) -> None:
    await results.put_new("a/paid.json", b"paid for", JSON)
    away = root.with_name("away")
    root.rename(away)
    for _ in ("gone", "another"):
        for call in (results.get("a/paid.json"), results.has("a/paid.json"), results.put_new("b", b"", JSON)):
            with pytest.raises(StorageTrouble, match="was taken away"):
                await call
        root.mkdir(exist_ok=True)
    assert list(root.iterdir()) == []
    root.rmdir()
    away.rename(root)
    assert await results.get("a/paid.json") == b"paid for"
