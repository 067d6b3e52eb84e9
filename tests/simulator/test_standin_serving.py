"""How the stand-in is started and ended."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from service.simulator.options import Options
from service.simulator.serve import ListenError, listen, serve, write_ready_file
from tests.simulator.conftest import until, vendor_at
from tests.standin import KEY, running, script, set_faults

PROGRAM = """
import sys
from pathlib import Path
from service.simulator.options import Options
from service.simulator.serve import run
run(Options(api_key="k"), host="127.0.0.1", port=0, ready_file=Path(sys.argv[1]), ready=print)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_with_0_when_asked_to(tmp_path: Path, number: signal.Signals) -> None:
    ready, temporary = tmp_path / "ready", tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(ready)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    until(ready.exists)
    url = ready.read_text().removesuffix("\n")
    assert httpx2.get(f"{url}/healthz").json() == {"status": "ok", "transcripts": 0}
    assert "stand-in for AssemblyAI" in httpx2.get(url).text
    httpx2.post(f"{url}/v2/upload", content=script("Hi."), headers={"authorization": "k"})
    assert list(temporary.iterdir()) != []
    process.send_signal(number)
    told, troubles = process.communicate(timeout=20)
    assert (process.returncode, told.decode(), troubles) == (0, f"{url}\n", b"")
    assert list(temporary.iterdir()) == []


def test_a_taken_port_is_said_in_one_sentence() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(ListenError, match=r"cannot listen on 127\.0\.0\.1:"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_a_port_out_of_range_is_said_too() -> None:
    with pytest.raises(ListenError, match=r"cannot listen on 127\.0\.0\.1:70000: a port is"):
        listen("127.0.0.1", 70_000)


def test_the_ready_file_replaces_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "ready"
    path.write_text("old")
    write_ready_file(path, "http://127.0.0.1:1")
    assert path.read_text() == "http://127.0.0.1:1\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.anyio
async def test_it_serves_inside_a_loop_until_it_is_told_to_stop() -> None:
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(Options(), host="127.0.0.1", port=0, ready=ready.set_result, stop=stop))
    async with httpx2.AsyncClient() as client:
        answer = await client.get(f"{await ready}/simulator/health")
    assert answer.status_code == 200
    stop.set()
    await asyncio.wait_for(serving, 10)


def test_waiting_transcripts_are_cheap() -> None:
    with running(Options(api_key=KEY, process_seconds=0.5, queue_seconds=0.0, parallel_jobs=10)) as url:
        vendor = vendor_at(url)
        set_faults(url, {"do": "stuck"})
        audio_url = vendor.upload(script("Hi."))
        started = time.monotonic()
        for _ in range(300):
            vendor.submit(audio_url)
        assert time.monotonic() - started < 20
        assert len(vendor.http.get("/v2/transcript?limit=200&status=processing").json()["transcripts"]) == 200
        vendor.http.close()
