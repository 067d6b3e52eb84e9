"""What every call to AWS owes to the process that makes it."""

import asyncio

import pytest

from service.adapters.aws import Aws, AwsError
from tests.emulator import CREDENTIALS

pytestmark = pytest.mark.anyio


async def test_a_call_that_is_out_when_all_is_closed_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    met = asyncio.Event()
    connections = 0

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        met.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}.items():
            monkeypatch.setenv(name, value)
        aws = Aws(within=0.2)
        calling = asyncio.create_task(aws.call("sqs", "list_queues"))
        await met.wait()
        aws.close()
        with pytest.raises(AwsError):
            await calling
    assert connections == 1
