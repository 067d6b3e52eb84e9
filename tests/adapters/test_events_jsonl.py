"""Events in a file: lines that a crash left unfinished, and everything that can be wrong with a file."""

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from service.adapters.events.jsonl import LONGEST_LINE, JsonlEvents
from service.domain.errors import Unavailable


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def publish(file: Path, body: bytes = b'{"id":"new"}', lock_wait: float = 5.0) -> None:
    anyio.run(JsonlEvents(file, lock_wait=lock_wait).publish, body, {}, "group", "id")


def failing(code: int) -> Callable[..., int]:
    def fail(*args: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("left", [b"{", b'{"id":"two","da', b'{"id":"two"}', b"\0" * 300, b'{"id"' + b"x" * 900_000])
@pytest.mark.parametrize("before", [b"", b'{"id":"one"}\n', b'{"id":"zero"}\n{"id":"one"}\n'])
def test_an_unfinished_last_line_is_cut_off_first(file: Path, before: bytes, left: bytes) -> None:
    file.write_bytes(before + left)
    publish(file)
    assert file.read_bytes() == before + b'{"id":"new"}\n'


def test_whole_lines_of_whatever_kind_are_kept(file: Path) -> None:
    file.write_bytes(b"not ours\n")
    publish(file)
    assert file.read_bytes() == b'not ours\n{"id":"new"}\n'


@pytest.mark.parametrize("other", [b"SQLite format 3\0", b"notes\n- one", b"\n\n}", b"{" * (LONGEST_LINE + 1)])
def test_a_file_that_is_not_ours_is_left_alone(file: Path, other: bytes) -> None:
    file.write_bytes(other)
    with pytest.raises(Unavailable) as told:
        publish(file)
    assert str(told.value) == (
        f"{file} ends in something that is no event and is left alone;"
        " end it with a new line, or name another file in AFTERWORD_EVENTS"
    )
    assert file.read_bytes() == other


def test_a_long_file_is_not_read_to_append_to_it(file: Path) -> None:
    whole = b'{"id":"' + b"x" * 5 * LONGEST_LINE + b'"}\n'
    file.write_bytes(whole + b'{"id":')
    publish(file)
    assert file.read_bytes() == whole + b'{"id":"new"}\n'


def test_an_event_of_several_lines_is_a_mistake_of_ours(file: Path) -> None:
    with pytest.raises(ValueError, match="single line"):
        publish(file, b'{\n"id":"new"}')
    assert not file.exists()


def test_the_wait_for_another_process_is_bounded_and_told(file: Path) -> None:
    with file.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match=r"locked by another process for 0\.05 s"):
            publish(file, lock_wait=0.05)
    publish(file)
    assert file.read_bytes() == b'{"id":"new"}\n'


def test_a_file_rotated_away_while_we_waited_gets_nothing_more(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true_flock = fcntl.flock
    file.write_bytes(b'{"id":"old"}\n')
    rotated = file.with_suffix(".1")

    def late(descriptor: int, operation: int) -> None:
        if not rotated.exists():
            file.rename(rotated)
        true_flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    publish(file)
    assert rotated.read_bytes() == b'{"id":"old"}\n'
    assert file.read_bytes() == b'{"id":"new"}\n'


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_is_told_and_leaves_no_half_line(
    file: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    file.write_bytes(b'{"id":"old"}\n')
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(code))
        with pytest.raises(Unavailable) as told:
            publish(file)
    assert str(told.value) == (
        f"the events file {file} could not be written ({os.strerror(code)}); mend it and the events follow"
    )
    assert file.read_bytes() == b'{"id":"old"}\n'


def test_a_disk_that_takes_only_a_part_at_a_time_gets_all_of_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true_pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda out, data, at: true_pwrite(out, data[:5], at))
    publish(file)
    assert file.read_bytes() == b'{"id":"new"}\n'


def test_a_folder_or_a_pipe_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unavailable, match="is not a regular file; name another one"):
        publish(tmp_path / "pipe")
    with pytest.raises(Unavailable, match="Is a directory"):
        publish(tmp_path)


def test_a_relative_file_is_meant_from_where_the_service_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    events = JsonlEvents(Path("events.jsonl"))
    monkeypatch.chdir("/")
    anyio.run(events.publish, b"{}", {}, "group", "id")
    assert (tmp_path / "events.jsonl").read_bytes() == b"{}\n"
