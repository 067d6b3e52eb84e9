"""Whether we are up, and whether our engines answer."""

import asyncio

import pytest

from service.http.readiness import Readiness
from tests.receiver.conftest import Public
from tests.receiver.loopback import request, sent

pytestmark = pytest.mark.anyio


async def status(port: int, path: str) -> int:
    return (await sent(port, request(path, method="GET"))).status


async def test_a_process_is_healthy_as_long_as_it_answers(public: Public) -> None:
    public.engine_down = True
    public.stopping = True
    assert await status(public.port, "/healthz") == 200
    assert public.asked == 0


async def test_the_engines_are_asked_once_however_many_want_to_know(public: Public) -> None:
    assert set(await asyncio.gather(*(status(public.port, "/readyz") for _ in range(20)))) == {200}
    assert public.asked == 1


async def test_a_failing_engine_makes_it_unready_and_tells_strangers_no_more(public: Public) -> None:
    public.engine_down = True
    answer = await sent(public.port, request("/readyz", method="GET"))
    assert (answer.status, answer.body) == (503, b"not ready\n")


async def test_who_stops_is_not_ready(public: Public) -> None:
    public.stopping = True
    assert await status(public.port, "/readyz") == 503


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


async def test_an_answer_is_kept_for_five_seconds() -> None:
    clock, asked = Clock(), []

    async def engine() -> None:
        asked.append(clock())
        if len(asked) == 1:
            raise OSError

    ready = Readiness({"jobs": engine}, clock=clock)
    assert await ready.failing() == ("jobs",)
    clock.at = 4.9
    assert await ready.failing() == ("jobs",)
    clock.at = 5.0
    assert await ready.failing() == ()
    assert asked == [0.0, 5.0]


async def test_an_engine_that_hangs_is_not_waited_for_nor_asked_again() -> None:
    clock, asked, release = Clock(), [], asyncio.Event()

    async def engine() -> None:
        asked.append(clock())
        await release.wait()

    async def well() -> None:
        return None

    ready = Readiness({"jobs": engine, "results": well}, clock=clock, within=0.05)
    assert await ready.failing() == ("jobs",)
    clock.at = 6.0
    assert await ready.failing() == ("jobs",)
    assert asked == [0.0]
    release.set()
    await asyncio.sleep(0)
    clock.at = 12.0
    assert await ready.failing() == ()


async def test_who_has_no_engines_is_ready() -> None:
    assert await Readiness({}, clock=Clock()).failing() == ()
