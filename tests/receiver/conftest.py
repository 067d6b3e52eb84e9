"""A receiver over a table that can be made to fail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.types import ASGIApp

from service.domain.tally import CALLBACKS, LAST_CALLBACK
from service.domain.tokens import token
from service.engine.row import Callback, Heard, RowId
from service.http.readiness import Readiness
from service.http.receiver import receiver
from service.http.receiver_table import Limits
from tests.receiver.loopback import Answer, request, sent, serving

SECRETS = ("new-" + "n" * 32, "old-" + "o" * 32)
TRANSCRIPT = b'{"transcript_id":"5551722-f677-48a6-9287-39c0aafd9ac1","status":"completed"}'


class Ears:
    """Stands in for the table: remembers what it stored, or fails as it is told to."""

    def __init__(self) -> None:
        self.heard: list[Callback] = []
        self.answer = Heard.COUNTED
        self.trouble: Callable[[], Awaitable[None]] | None = None

    async def call_back(self, callback: Callback) -> Heard:
        if self.trouble is not None:
            await self.trouble()
        self.heard.append(callback)
        return self.answer


class Counts:
    """A tally that can be read."""

    def __init__(self) -> None:
        self.by_result: dict[str, int] = {}
        self.last = 0.0

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        assert name == CALLBACKS
        if not amount:
            return
        self.by_result[labels["result"]] = self.by_result.get(labels["result"], 0) + int(amount)

    def gauge(self, name: str, value: float) -> None:
        assert name == LAST_CALLBACK
        self.last = value


class Public:
    """The public listener, its surroundings, and a way to call it."""

    def __init__(self) -> None:
        self.ears = Ears()
        self.counts = Counts()
        self.woken: list[RowId] = []
        self.stopping = False
        self.engine_down = False
        self.asked = 0
        self.port = 0

    async def engine(self) -> None:
        self.asked += 1
        if self.engine_down:
            raise OSError("password=hunter2")

    def app(self, public_url: str = "https://hooks.example.com", limits: Limits | None = None) -> ASGIApp:
        return receiver(
            call_back=self.ears.call_back,
            secrets=SECRETS,
            public_url=public_url,
            ready=Readiness({"jobs": self.engine}, clock=asyncio.get_running_loop().time),
            tally=self.counts,
            woken=self.woken.append,
            stopping=lambda: self.stopping,
            now=lambda: 1_700_000_000.0,
            limits=limits,
        )

    async def post(self, body: bytes = TRANSCRIPT, *, job_id: str = "job_1", secret: str = SECRETS[0]) -> Answer:
        proof = [("X-Afterword-Token", token(secret, job_id))]
        return await sent(self.port, request(f"/callbacks/{job_id}", body, proof))


@pytest.fixture
async def public() -> AsyncIterator[Public]:
    public = Public()
    limits = Limits(body_within=0.3, store_within=0.3, in_flight=8, discard_within=0.2)
    async with serving(public.app(limits=limits)) as public.port:
        yield public
