"""Ten thousand recordings wait at the vendor: the process weighs and asks as much as with ten.

    python -m tests.longrun.waiting --many 10000
    python -m tests.longrun.waiting --many 10000 --overdue

Rows are put into the job store through its port, the service is started on it, and meanwhile a few fresh recordings go
all the way. Printed are memory, processor time and calls to the vendor, with ten and with many, and their ratios; about
a minute. With `--overdue` every one of them should have been called back about long ago: then the calls must keep to
five polls a second. Exits 1 if a bound is broken.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import psutil

from service.domain.callbacks import address
from service.domain.job import Intent, Job, JobId, Kind, Recording, Status, TranscriptFacts, TranscriptId
from service.engine.row import Row, RowId
from tests.longrun.processes import Process, eventually, polls
from tests.longrun.silence import PER_SECOND, burst, watched
from tests.premises import Premises
from tests.standin import KEY, QUICK, ledger, running, script, set_faults

FEW = 10
FRESH = 10
CALLS = ("upload", "submit", "read", "list", "ask", "delete", "captions")
MORE_MEMORY = 1.10
"""The memory with many, at most, in that with few."""
PATIENCE = 3600.0


@dataclass(frozen=True, kw_only=True)
class Weight:
    """What a process with so many waiting recordings came to. Memory in bytes, the other two over the same work."""

    waiting: int
    memory: int
    processor: float
    calls: Mapping[str, int]


def weighed(folder: Path, url: str, waiting: int, *, rest: float) -> Weight:
    """The service while `waiting` recordings are at the vendor and FRESH others go through, `rest` seconds later."""
    folder.mkdir()
    premises = Premises(folder, url, AFTERWORD_RECONCILE_AFTER=str(PATIENCE))
    asyncio.run(fill(premises, [f"waiting-{number}" for number in range(waiting)], due_in=PATIENCE))
    before = called(url)
    with Process(premises) as service:
        for number in range(FRESH):
            premises.drop(f"{number}.wav", f"Number {number} does not wait.")
        eventually(lambda: len(premises.events()) >= FRESH)
        time.sleep(rest)
        found = psutil.Process(service.popen.pid)
        processor = sum(found.cpu_times()[:2])
        memory = service.memory()
        after = called(url)
    return Weight(
        waiting=waiting,
        memory=memory,
        processor=processor,
        calls={call: after[call] - before[call] for call in CALLS},
    )


async def fill(premises: Premises, transcripts: Sequence[str], *, due_in: float) -> None:
    """Put a job at the vendor for each of these transcripts, to be looked at in so many seconds."""
    now = time.time()
    async with premises.store() as store:
        for begin in range(0, len(transcripts), 500):
            rows = [row(transcript, now, due_in) for transcript in transcripts[begin : begin + 500]]
            await asyncio.gather(*(store.table.add(each, [str(each.subject)]) for each in rows))


def row(transcript: str, now: float, due_in: float) -> Row:
    key = f"waiting/{transcript}.wav"
    recording = Recording(
        kind=Kind.FILE,
        uri=f"file:///somewhere/{key}",
        key=key,
        name=f"{transcript}.wav",
        location=f"/somewhere/{key}",
        size=1000,
        digest="0" * 64,
        dropped_at="2026-01-01T00:00:00Z",
    )
    name = JobId(f"job_{transcript}")
    job = Job(
        id=name,
        recording=recording,
        pipeline="calls",
        submitted_at=now,
        transcript=TranscriptFacts(id=TranscriptId(transcript), ours=True),
        intent=Intent(at=now, audio_url="https://audio.example/a", webhook_url=address("https://hooks.example", name)),
    )
    return Row(
        id=RowId(name),
        status=Status.SUBMITTED,
        facts=job.model_dump(mode="json"),
        created_at=now,
        updated_at=now,
        due_at=now + due_in,
        subject=transcript,
    )


def called(url: str) -> Mapping[str, int]:
    counted = ledger(url)["calls"]
    return {call: counted.get(call, 0) for call in CALLS}


def overdue(folder: Path, url: str, waiting: int, *, seconds: float) -> tuple[float, float, int]:
    """The polls a second, the worst burst beyond five a second and the memory, with all of them long overdue."""
    folder.mkdir()
    premises = Premises(folder, url, AFTERWORD_RECONCILE_AFTER=str(PATIENCE))
    asyncio.run(fill(premises, asyncio.run(stuck(url, waiting)), due_in=-60.0))
    with Process(premises) as service:
        eventually(lambda: polls(url) > 0)
        ends = time.monotonic() + seconds
        seen = watched(url, lambda: time.monotonic() > ends)
        memory = service.memory()
    return (seen[-1].polls - seen[0].polls) / (seen[-1].at - seen[0].at), burst(seen), memory


async def stuck(url: str, count: int) -> Sequence[str]:
    """Transcripts that never end, at the stand-in."""
    set_faults(url, {"on": "submit", "do": "stuck"})
    places = asyncio.Semaphore(20)
    async with httpx2.AsyncClient(base_url=url, headers={"authorization": KEY}, timeout=60) as client:
        audio = (await client.post("/v2/upload", content=script("It never ends."))).json()["upload_url"]

        async def one() -> str:
            async with places:
                body = {"audio_url": audio, "speech_models": ["universal-2"]}
                answer = await client.post("/v2/transcript", json=body)
                return str(answer.raise_for_status().json()["id"])

        return await asyncio.gather(*(one() for _ in range(count)))


def main() -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to look on")
    parser.add_argument("--overdue", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, running(replace(QUICK, gateway_limit=1_000_000)) as url:
        if asked.overdue:
            return _overdue(Path(place), url, asked.many, asked.seconds)
        few, many = (weighed(Path(place) / str(count), url, count, rest=asked.seconds) for count in (FEW, asked.many))
    for weight in (few, many):
        told = ", ".join(f"{count} {call}" for call, count in weight.calls.items() if count)
        print(f"{weight.waiting:6} waiting: {weight.memory / 1e6:.1f} MB, {weight.processor:.2f} s of CPU; {told}")
    ratio = many.memory / few.memory
    print(
        f"ratios: memory {ratio:.3f}, CPU {many.processor / few.processor:.2f}; same calls: {few.calls == many.calls}"
    )
    return 0 if ratio <= MORE_MEMORY and few.calls == many.calls else 1


def _overdue(folder: Path, url: str, many: int, seconds: float) -> int:
    _, _, little = overdue(folder / "few", url, FEW, seconds=5.0)
    pace, worst, memory = overdue(folder / "many", url, many, seconds=seconds)
    print(f"{many} overdue: {pace:.2f} polls a second, worst burst beyond {PER_SECOND:g} a second {worst:.1f}")
    print(f"memory {memory / 1e6:.1f} MB, with {FEW} {little / 1e6:.1f} MB, ratio {memory / little:.3f}")
    return 0 if pace <= PER_SECOND * 1.05 and worst <= PER_SECOND else 1


if __name__ == "__main__":
    sys.exit(main())
