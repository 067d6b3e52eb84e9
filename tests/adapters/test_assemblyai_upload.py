"""Half a gigabyte goes to the vendor in the memory of one piece."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from service.adapters.assemblyai.client import open_client
from service.adapters.assemblyai.transcripts import Transcripts

HALF_A_GIGABYTE = 500_000_000
PIECE = 1 << 20

SINK = """
import socket
with socket.create_server(("127.0.0.1", 0)) as listening:
    print(listening.getsockname()[1], flush=True)
    caller, _ = listening.accept()
    head = b""
    while b"\\r\\n\\r\\n" not in head:
        head += caller.recv(65536)
    head, _, body = head.partition(b"\\r\\n\\r\\n")
    left = int(head.lower().split(b"content-length: ")[1].split(b"\\r\\n")[0]) - len(body)
    buffer = bytearray(1 << 20)
    while left:
        got = caller.recv_into(buffer)
        if not got:
            raise SystemExit("cut off")
        left -= got
    answer = b'{"upload_url":"https://cdn.example.com/upload/1"}'
    caller.sendall(b"HTTP/1.1 200 OK\\r\\nconnection: close\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(answer) + answer)
    caller.close()
"""


@pytest.fixture
def sink() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


@pytest.mark.anyio
async def test_half_a_gigabyte_moves_the_memory_by_no_more_than_20_megabytes(tmp_path: Path, sink: str) -> None:
    recording = tmp_path / "long.wav"
    with recording.open("wb") as sparse:
        sparse.truncate(HALF_A_GIGABYTE)
    process, peak = psutil.Process(), 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal peak
        with recording.open("rb") as sound:
            while piece := sound.read(PIECE):
                peak = max(peak, process.memory_info().rss)
                yield piece

    async with open_client() as client:
        before = process.memory_info().rss
        url = await Transcripts(client, sink, "k").upload(pieces(), HALF_A_GIGABYTE)
    assert url == "https://cdn.example.com/upload/1"
    assert peak - before <= 20_000_000
