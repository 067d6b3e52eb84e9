"""The log: what comes out, and what never does."""

import asyncio
import gc
import io
import logging
import threading
from collections.abc import Callable, Iterator

import orjson
import pytest
import structlog

from service import telemetry
from service.domain import happened

Lines = Callable[[], list[dict[str, object]]]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    telemetry.configure("json", "info", stream)
    yield stream
    telemetry.reset()


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    return lambda: [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_its_job_and_stage(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(job_id="job_1", stage="submit"):
        structlog.get_logger().info(happened.JOB_SUBMITTED, transcript_id="t-1", attempts=2)
    (line,) = lines()
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "event": "job.submitted",
        "level": "info",
        "job_id": "job_1",
        "stage": "submit",
        "transcript_id": "t-1",
        "attempts": 2,
    }


def test_what_is_below_the_level_is_left_out(lines: Lines) -> None:
    structlog.get_logger().debug(happened.JOB_WAITING)
    assert lines() == []


def test_an_exception_is_told_by_type_and_place_and_never_by_its_words(lines: Lines) -> None:
    try:
        try:
            int("what the caller said")
        except ValueError as error:
            raise ExceptionGroup("their words", [OSError("https://x.example/?sig=1"), error]) from error
    except ExceptionGroup:
        structlog.get_logger().exception(happened.JOB_CRASHED)
    (line,) = lines()
    told_of = str(line["exception"])
    assert "builtins.ValueError" in told_of
    assert "ExceptionGroup" in told_of
    assert f"{__name__}:" in told_of
    for words in ("caller", "words", "sig"):
        assert words not in str(line)


def test_no_exception_at_hand_is_no_trouble(lines: Lines) -> None:
    structlog.get_logger().error(happened.JOB_CRASHED, exc_info=True)
    assert "exception" not in lines()[0]


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Authorization",
        "api_key",
        "ASSEMBLYAI_API_KEY",
        "webhook_secrets",
        "token",
        "X-Afterword-Token",
        "upload_url",
        "password",
        "set-cookie",
        "signature",
    ],
)
def test_values_under_secret_names_are_masked_however_deep(lines: Lines, name: str) -> None:
    structlog.get_logger().info(happened.SERVICE_STARTED, headers=[{name: "hunter2"}], **{name: "hunter2"})
    (line,) = lines()
    assert line[name] == "***"
    assert "hunter2" not in str(line)


def test_nothing_unbounded_gets_into_a_line(lines: Lines) -> None:
    deep: object = "end"
    for _ in range(50):
        deep = [deep]
    fields = {"text": "a" * 100_000, "many": list(range(10_000)), "deep": deep, "huge": 1 << 70, "body": b"secret"}
    structlog.get_logger().info(happened.JOB_WAITING, **fields, thing=object(), error=ValueError("their words"))
    (line,) = lines()
    assert len(orjson.dumps(line)) < 3000
    assert (line["body"], line["thing"], line["error"]) == ("<bytes>", "<object>", "<ValueError>")


def test_a_name_that_is_no_unicode_still_makes_a_line(lines: Lines) -> None:
    structlog.get_logger().info(happened.DROP_UNREADABLE, name=b"caf\xe9.mp3".decode(errors="surrogateescape"))
    assert lines()[0]["name"] == r"caf\udce9.mp3"


def test_people_read_lines_without_control_characters() -> None:
    stream = io.StringIO()
    telemetry.configure("console", "info", stream)
    structlog.get_logger().info(happened.DROP_RECEIVED, name="a\x1b[2Jb\nc")
    telemetry.reset()
    (line,) = stream.getvalue().splitlines()
    assert "drop.received" in line
    assert "\x1b" not in line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_lines_for_people_and_a_file_json() -> None:
    for stream, json in ((Terminal(), False), (io.StringIO(), True)):
        telemetry.configure("auto", "info", stream)
        structlog.get_logger().info(happened.SERVICE_STARTED)
        telemetry.reset()
        assert stream.getvalue().startswith("{") == json


class FullDisk(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(28, "no space left on device")


def test_a_full_disk_behind_the_log_disturbs_nobody() -> None:
    for stream in (FullDisk(), io.StringIO()):
        telemetry.configure("json", "info", stream)
        stream.close()
        structlog.get_logger().info(happened.SERVICE_STARTED)
        telemetry.reset()


def test_libraries_warnings_come_out_without_what_they_are_about(lines: Lines) -> None:
    logging.getLogger("some.library").warning("Bad header %s\nand more", "https://x.example/?sig=1")
    logging.getLogger("another.library").info("HTTP Request: GET https://x.example/?sig=1")
    (line,) = lines()
    assert (line["event"], line["logger"], line["said"]) == ("library.warned", "some.library", "Bad header %s")
    assert "sig" not in str(line)


def test_a_library_that_repeats_itself_is_heard_once_a_second(lines: Lines) -> None:
    for number in range(250):
        logging.getLogger("some.library").warning("Invalid HTTP request received.")
        logging.getLogger("some.library").warning(f"one of many kinds: {number}")  # noqa: G004
    heard = [line for line in lines() if line["said"] == "Invalid HTTP request received."]
    assert len(heard) < 10


def test_a_task_that_nobody_awaits_is_told(lines: Lines) -> None:
    async def main() -> None:
        async def fails() -> None:
            raise ValueError("what the caller said")

        task = asyncio.create_task(fails())
        await asyncio.wait({task})
        del task
        gc.collect()

    asyncio.run(main())
    (line,) = lines()
    assert line["said"] == "Task exception was never retrieved"
    assert "builtins.ValueError" in str(line["exception"])
    assert "caller" not in str(line)


def test_a_thread_that_fails_is_told(lines: Lines) -> None:
    def fails() -> None:
        raise ValueError("what the caller said")

    thread = threading.Thread(target=fails, name="writer")
    thread.start()
    thread.join()
    (line,) = lines()
    assert (line["event"], line["thread"]) == ("thread.failed", "writer")
    assert "caller" not in str(line)


class Unclosable:
    def __del__(self) -> None:
        raise ValueError("what the caller said")


def test_an_error_that_nobody_could_raise_is_told(lines: Lines) -> None:
    Unclosable()
    gc.collect()
    (line,) = lines()
    assert line["event"] == "error.unraisable"
    assert "caller" not in str(line)


def test_reset_leaves_nothing_behind() -> None:
    before = (list(logging.getLogger().handlers), threading.excepthook)
    telemetry.configure("json", "debug", io.StringIO())
    telemetry.configure("json", "debug", io.StringIO())
    assert sum(isinstance(handler, telemetry.Relay) for handler in logging.getLogger().handlers) == 1
    telemetry.reset()
    assert list(logging.getLogger().handlers) == before[0]
    assert threading.excepthook is threading.__excepthook__


def test_a_flood_is_told_once_a_second_with_how_much_was_left_out() -> None:
    at = [0.0]
    sparing = telemetry.Sparing(lambda: at[0])
    assert [sparing.turn() for _ in range(4)] == [0, None, None, None]
    at[0] = 1.0
    assert [sparing.turn(), sparing.turn()] == [3, None]
