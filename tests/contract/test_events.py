"""What every place for events promises: handed over once `publish` returned, and as it was given."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import anyio
import anyio.to_thread
import orjson
import pytest

from service.adapters.events.jsonl import JsonlEvents
from service.ports import Events

pytestmark = pytest.mark.anyio


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "out" / "events.jsonl"


@pytest.fixture
def jsonl_events(file: Path) -> JsonlEvents:
    return JsonlEvents(file)


@pytest.fixture(params=["jsonl_events"])
def events(request: pytest.FixtureRequest) -> Events:
    place: Events = request.getfixturevalue(request.param)
    return place


def bodies(file: Path) -> list[bytes]:
    """What a subscriber gets."""
    *lines, rest = file.read_bytes().split(b"\n")
    assert rest == b""
    return lines


def an_event(name: str) -> bytes:
    return orjson.dumps({"id": name, "data": {"text": f"Grüße {name}\n\u2028🎙"}})


async def publish(events: Events, name: str) -> None:
    await events.publish(an_event(name), {"type": "t", "tags": ("a", "b")}, "group", name)


async def test_events_arrive_as_they_were_given(events: Events, file: Path) -> None:
    await publish(events, "one")
    await publish(events, "two")
    assert bodies(file) == [an_event("one"), an_event("two")]


async def test_the_same_event_may_be_handed_over_twice_and_is_the_same_to_the_byte(events: Events, file: Path) -> None:
    await publish(events, "one")
    await publish(events, "one")
    assert set(bodies(file)) == {an_event("one")}


async def test_events_at_the_same_time_all_arrive_whole(events: Events, file: Path) -> None:
    names = [str(number) for number in range(50)]
    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(publish, events, name)
    assert sorted(bodies(file)) == sorted(an_event(name) for name in names)


PUBLISHER = """
import asyncio, json, sys
from pathlib import Path
from service.adapters.events.jsonl import JsonlEvents

async def publish():
    events = JsonlEvents(Path(sys.argv[1]))
    for number in range(int(sys.argv[3])):
        name = f"{sys.argv[2]}-{number}"
        body = json.dumps({"id": name, "text": "x" * 5000}).encode()
        await events.publish(body, {}, "group", name)
        print(name, flush=True)

asyncio.run(publish())
"""


def start(file: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-c", PUBLISHER, str(file), name, str(count)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE)


def published(publisher: subprocess.Popen[bytes], kill_after: int | None = None) -> list[str]:
    """The events that a process knows to be out, killed when there are so many."""
    names: list[str] = []
    with publisher:
        assert publisher.stdout is not None
        for line in publisher.stdout:
            names.append(line.decode().strip())
            if len(names) == kill_after:
                publisher.kill()
    return names


def test_several_processes_share_one_file_and_a_kill_loses_nothing_that_was_out(file: Path) -> None:
    publishers = [start(file, name, 60) for name in ("a", "b", "c")]
    out = [
        *published(publishers[0], kill_after=5),
        *published(publishers[1], kill_after=20),
        *published(publishers[2]),
    ]
    told = Counter(orjson.loads(line)["id"] for line in bodies(file))
    assert set(out) <= told.keys()
    assert set(told.values()) == {1}
    assert {f"c-{number}" for number in range(60)} <= told.keys()
