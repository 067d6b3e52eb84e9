"""What every place where recordings arrive must promise: a real folder, and a queue that a bucket notifies."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.domain.identity import job_id
from tests.contract.dropping import Taken, drop, inbox, logs, told, until, watching
from tests.contract.queueing import Post, post
from tests.contract.test_drops import NAMES

pytestmark = pytest.mark.anyio

__all__ = ["inbox", "logs", "post"]


@dataclass
class Arrivals:
    """Somewhere to put recordings, and how to watch it."""

    put: Callable[[str, bytes], object]
    watching: Callable[..., AbstractAsyncContextManager[None]]
    longest: str


@pytest.fixture(params=["folder", "queue"])
def arrivals(request: pytest.FixtureRequest) -> Arrivals:
    if request.param == "folder":
        folder: Path = request.getfixturevalue("inbox")
        return Arrivals(
            lambda key, body: drop(folder, key, body),
            lambda taken, **options: watching(folder, taken, **options),
            "x" * 255,
        )
    queue: Post = request.getfixturevalue("post")
    queue.notify()
    return Arrivals(queue.put, queue.watching, "deep/" + "é" * 509 + "x")


async def test_what_came_before_and_what_comes_now_is_handed_over_under_any_name(arrivals: Arrivals) -> None:
    taken = Taken()
    names = [*NAMES, arrivals.longest, "a%2Bb.mp3", "a%20b.mp3"]
    for name in names[::2]:
        arrivals.put(name, b"sound")
    async with arrivals.watching(taken):
        await until(lambda: len(taken.recordings) == len(names[::2]))
        for name in names[1::2]:
            arrivals.put(name, b"sound")
        await until(lambda: len(taken.recordings) == len(names))
    assert taken.keys == sorted(names)
    assert {recording.name for recording in taken.recordings} == {name.rpartition("/")[2] for name in names}
    assert {recording.size for recording in taken.recordings} == {5}
    assert len({job_id("afterword", recording) for recording in taken.recordings}) == len(names)


async def test_other_content_under_the_same_name_is_another_recording_and_the_same_again_is_not(
    arrivals: Arrivals,
) -> None:
    taken = Taken()
    async with arrivals.watching(taken):
        for number, body in enumerate((b"first", b"other", b"first"), start=1):
            arrivals.put("one.mp3", body)
            await until(lambda count=number: len(taken.recordings) == count)
    assert len({job_id("afterword", recording) for recording in taken.recordings}) == 2


async def test_what_no_pipeline_wants_is_handed_over_unread_and_what_is_empty_is_left_alone(
    arrivals: Arrivals, logs: list[dict[str, object]]
) -> None:
    taken = Taken()
    arrivals.put("empty.mp3", b"")
    arrivals.put("film.mkv", b"film")
    arrivals.put("one.mp3", b"sound")
    async with arrivals.watching(taken, wanted=lambda key, uri: key.endswith(".mp3") and "://" in uri):
        await until(lambda: len(taken.recordings) == 2)
        await until(lambda: any(entry["event"] == "drop.ignored" for entry in logs))
    assert taken.keys == ["film.mkv", "one.mp3"]
    assert told(logs, "drop.ignored") == [("empty.mp3", "empty")]
