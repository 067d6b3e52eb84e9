"""What every place for events promises: handed over once `publish` returned, and as it was given."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
import orjson
import pytest

from service.adapters.aws import Aws
from service.adapters.events.jsonl import JsonlEvents
from service.adapters.events.sns import SnsEvents
from service.ports.places import Events
from tests.emulator import Emulator
from tests.topics import Topic

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Place:
    """Events on their way, and what a subscriber has got so far."""

    events: Events
    bodies: Callable[[], list[bytes]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "out" / "events.jsonl"


@pytest.fixture
def jsonl_events(file: Path) -> Place:
    return Place(JsonlEvents(file), lambda: lines(file))


@pytest.fixture
def sns_events(aws: Aws, emulator: Emulator) -> Place:
    topic = Topic.made(emulator)
    queue = topic.subscribed({"RawMessageDelivery": "true"})
    return Place(SnsEvents(aws, topic.arn), lambda: [message["Body"].encode() for message in queue.messages()])


@pytest.fixture
def sns_fifo_events(aws: Aws, emulator: Emulator) -> Place:
    topic = Topic.made(emulator, fifo=True)
    queue = topic.subscribed({"RawMessageDelivery": "true"})
    return Place(SnsEvents(aws, topic.arn), lambda: [message["Body"].encode() for message in queue.messages()])


@pytest.fixture(params=["jsonl_events", "sns_events", "sns_fifo_events"])
def place(request: pytest.FixtureRequest) -> Place:
    place: Place = request.getfixturevalue(request.param)
    return place


def lines(file: Path) -> list[bytes]:
    *whole, rest = file.read_bytes().split(b"\n")
    assert rest == b""
    return whole


def an_event(name: str) -> bytes:
    return orjson.dumps({"id": name, "data": {"text": f"Grüße {name}\n\u2028🎙 <&> \\ \"'"}})


async def publish(place: Place, name: str) -> None:
    await place.events.publish(an_event(name), {"type": "t", "tags": ("a", "b")}, "group", name)


async def test_events_arrive_as_they_were_given(place: Place) -> None:
    await publish(place, "one")
    await publish(place, "two")
    assert sorted(place.bodies()) == [an_event("one"), an_event("two")]


async def test_the_same_event_may_be_handed_over_twice_and_is_the_same_to_the_byte(place: Place) -> None:
    await publish(place, "one")
    await publish(place, "one")
    assert set(place.bodies()) == {an_event("one")}


async def test_events_at_the_same_time_all_arrive_whole(place: Place) -> None:
    names = [str(number) for number in range(50)]
    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(publish, place, name)
    assert sorted(place.bodies()) == sorted(an_event(name) for name in names)


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
    told = Counter(orjson.loads(line)["id"] for line in lines(file))
    assert set(out) <= told.keys()
    assert set(told.values()) == {1}
    assert {f"c-{number}" for number in range(60)} <= told.keys()
