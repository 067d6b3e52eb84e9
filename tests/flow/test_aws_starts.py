"""A start while AWS cannot be reached: not ready, nothing lost, and at work as soon as it is there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from service.adapters.aws import Aws
from service.serve import Addresses
from tests.cloud import Cloud
from tests.emulator import Emulator
from tests.ports import free_port
from tests.premises import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def cloud(tmp_path: Path, standin: str, emulator: Emulator) -> Cloud:
    return Cloud(tmp_path, standin, emulator)


async def status(addresses: Addresses, path: str) -> int:
    async with httpx2.AsyncClient() as client:
        return (await client.get(addresses.public + path, timeout=20)).status_code


async def test_a_start_without_aws_waits_for_it(
    cloud: Cloud, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setitem(Aws.__init__.__kwdefaults__, "attempts", 1)
    cloud.put("calls/a.wav", "It waits meanwhile.")

    async def ready() -> bool:
        return await status(addresses, "/readyz") == 200

    # AWS goes after the service: a stop without it would wait for it in vain.
    async with AsyncExitStack() as aws, cloud.serving() as addresses:
        assert await status(addresses, "/healthz") == 200
        assert not await ready()
        await aws.enter_async_context(forwarding(port, emulator.url))
        await until(ready)
        (event,) = await cloud.heard(1)
    assert event["data"]["outcome"] == "complete"


async def test_the_private_api_takes_objects_too(tmp_path: Path, standin: str, emulator: Emulator) -> None:
    cloud = Cloud(tmp_path, standin, emulator, AFTERWORD_DROPS=str(tmp_path / "inbox"))
    cloud.put("calls/a.wav", "Nobody announced it.", metadata={"agent": "Ada"})
    async with cloud.serving() as addresses, httpx2.AsyncClient(base_url=addresses.ops, timeout=20) as client:
        target = {"target": f"s3://{cloud.recordings}/calls/a.wav", "metadata": {"line": "3"}}
        first = await client.post("/api/jobs", json=target)
        assert (first.status_code, first.json()["new"]) == (201, True), first.text
        again = await client.post("/api/jobs", json=target)
        assert again.json() == {**first.json(), "new": False}
        for gone in ("calls/gone.wav", "calls/"):
            answer = await client.post("/api/jobs", json={"target": f"s3://{cloud.recordings}/{gone}"})
            assert 400 <= answer.status_code < 500
            assert gone in answer.text
        (event,) = await cloud.heard(1)
    assert event["data"]["recording"]["metadata"] == {"agent": "Ada", "line": "3"}


@asynccontextmanager
async def forwarding(port: int, url: str) -> AsyncIterator[None]:
    """Whoever connects to the port reaches `url`."""
    to = urlsplit(url)
    running: set[asyncio.Task[None]] = set()

    async def copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(to.hostname, to.port)
        for one, other in ((reader, back), (there, writer)):
            task = asyncio.ensure_future(copied(one, other))
            running.add(task)
            task.add_done_callback(running.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
