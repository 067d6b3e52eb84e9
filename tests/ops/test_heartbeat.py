"""The line that alarms are made of."""

import asyncio
import io
import json
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from service import telemetry
from service.engine.errors import StoreTrouble
from service.ops.heartbeat import Heartbeat
from service.ports.budget import Standing
from service.ports.store import Count, Lately
from service.stages.overview import Overview, overview
from tests.ops.conftest import NOW, Shelf

pytestmark = pytest.mark.anyio
UNKNOWN = ("due", "oldest_due_seconds", "waiting", "parked", "limited", "queued", "failed", "backlog_seconds", "jobs")


class Patient:
    """A heart that is listened to."""

    def __init__(self, every: float = 60.0) -> None:
        self.shelf = Shelf()
        self.lost = 0.0
        self.heart = Heartbeat(lambda: overview(self.shelf, self.shelf, NOW), lambda: self.lost, every=every)

    async def line(self) -> dict[str, object]:
        with capture_logs() as lines:
            await self.heart.tell()
        [line] = lines
        return dict(line)


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    telemetry.configure("json", "info", stream)
    yield stream
    telemetry.reset()


async def test_it_tells_how_things_stand(stderr: io.StringIO) -> None:
    patient = Patient()
    patient.shelf.ended = 5
    await patient.heart.tell()
    line = json.loads(stderr.getvalue())
    assert line.pop("timestamp")
    assert line == {
        "event": "service.heartbeat",
        "level": "info",
        "store_up": True,
        "due": 1,
        "oldest_due_seconds": 40.0,
        "waiting": 3,
        "parked": 2,
        "limited": 0,
        "queued": 0,
        "failed": 0,
        "lost": 0,
        "backlog_seconds": 240.0,
        "jobs": {"received": 2, "submitted": 3, "transcribed": 0, "decided": 0, "published": 9, "failed": 0},
    }


async def test_on_a_console_statuses_are_words() -> None:
    line = await Patient().line()
    assert "'jobs': {'received': 2, 'submitted': 3," in repr(line)


async def test_a_backlog_without_a_rate_is_unknown_and_no_zero() -> None:
    assert (await Patient().line())["backlog_seconds"] is None


async def test_lost_callbacks_are_told_once() -> None:
    patient = Patient()
    patient.lost = 3
    assert (await patient.line())["lost"] == 3
    assert (await patient.line())["lost"] == 0
    patient.shelf.trouble = StoreTrouble("gone")
    patient.lost = 4
    assert (await patient.line())["lost"] == 1


@pytest.mark.parametrize("trouble", [StoreTrouble("gone"), ValueError("a bug")])
async def test_a_store_in_trouble_is_a_field(trouble: Exception) -> None:
    patient = Patient()
    patient.shelf.trouble = trouble
    line = await patient.line()
    assert line["store_up"] is False
    assert {name: line[name] for name in UNKNOWN} == dict.fromkeys(UNKNOWN)
    patient.shelf.trouble = None
    assert (await patient.line())["store_up"] is True


async def test_a_store_that_hangs_stops_no_heart() -> None:
    patient = Patient(every=0.02)
    patient.shelf.hang = asyncio.Event()
    with capture_logs() as lines:
        beating = asyncio.ensure_future(patient.heart.beat())
        async with asyncio.timeout(30):
            while len(lines) < 3:
                await asyncio.sleep(0.01)
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
    assert {line["store_up"] for line in lines} == {False}


def test_what_waits_for_the_next_month_is_no_backlog() -> None:
    received = Count(status="received", lane="fresh", rows=9, due=0, parked=0, limited=7, oldest_due_at=None)
    seen = Overview(now=NOW, counts=[received], lately=Lately(ended=5, last_callback_at=None))
    assert seen.backlog == 2 * 600 / 5


async def test_a_backlog_at_a_model_is_told_at_the_rate_that_it_may_be_asked_at() -> None:
    patient = Patient()
    patient.shelf.models = [
        Standing(model="m", allowance=30, granted=30, ends_at=NOW + 9, queued=2, requests=600, seconds=1200.0),
        Standing(model="other", allowance=None, granted=0, ends_at=None, queued=0, requests=0, seconds=0.0),
    ]
    line = await patient.line()
    assert (line["queued"], line["backlog_seconds"]) == (2, 1200.0)


@pytest.mark.anyio
async def test_a_stop_that_comes_just_as_the_look_ends_is_heard() -> None:
    looked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    beating = asyncio.ensure_future(Heartbeat(lambda: looked, lambda: 0.0, every=60.0).beat())
    await asyncio.sleep(0)
    looked.set_result(None)
    beating.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(beating, return_exceptions=True)
    assert beating.cancelled()
