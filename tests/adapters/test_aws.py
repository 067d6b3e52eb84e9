"""What every call to AWS owes to the process that makes it."""

import asyncio

import pytest

from service.adapters.aws import Aws, AwsError
from tests.emulator import CREDENTIALS, Emulator

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


async def test_credentials_that_come_later_are_found(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    aws = Aws()
    with pytest.raises(AwsError, match="NoCredentialsError"):
        await aws.call("sqs", "list_queues")
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    await aws.call("sqs", "list_queues")
    aws.close()
