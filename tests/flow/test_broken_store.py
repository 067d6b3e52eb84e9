"""The table of callbacks over HTTP, with the job store broken in every way: our own trouble is never a 4xx."""

import asyncio
import ctypes
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx2
import pytest

from service.domain.tokens import HEADER, token
from service.engine.row import Row
from tests.longrun.processes import Process, audit, eventually, rows
from tests.premises import SECRET, Premises
from tests.standin import ledger, set_faults

GENUINE, OURS, REFUSED = 204, 503, (401, 400, 413)
Break = Callable[[Premises, Process], AbstractContextManager[None]]

CAPBSET_DROP, OVERRIDES = 24, (1, 2)
"""prctl(2), and the two capabilities by which root reads and writes what its mode forbids."""


def as_anybody() -> None:
    """So that a read-only file is read-only for root too; elsewhere it changes nothing."""
    libc = ctypes.CDLL(None)
    for capability in OVERRIDES:
        libc.prctl(CAPBSET_DROP, capability, 0, 0, 0)


class Caller:
    """What the vendor, and whoever plays the vendor, may send about the jobs on these premises."""

    def __init__(self, premises: Premises, waiting: Row, ended: Row) -> None:
        self.url = f"http://127.0.0.1:{premises.port}"
        self.genuine = {
            "of a job that waits": (waiting.id, said(waiting)),
            "again": (waiting.id, said(waiting)),
            "of a job that has ended": (ended.id, said(ended)),
            "of redacted audio": (
                waiting.id,
                {"status": "redacted_audio_ready", "redacted_audio_url": "https://a.example/b"},
            ),
            "of an unknown job": ("job_unknown", said(waiting)),
            "with another job's transcript": (waiting.id, said(ended)),
            "with an unknown status word": (waiting.id, said(waiting) | {"status": "finished"}),
        }
        self.refused = {
            "without a token": ({}, b"{}"),
            "with a wrong token": ({HEADER: token("another secret", waiting.id)}, b"{}"),
            "with a body that is no JSON": ({HEADER: token(SECRET, waiting.id)}, b"not JSON"),
            "with a body too large": ({HEADER: token(SECRET, waiting.id)}, b" " * 70_000),
        }
        self.refused_at = waiting.id

    async def answers(self) -> tuple[Mapping[str, int], Mapping[str, int], int]:
        """The status of each genuine one, of each other, and of /healthz, all sent at once."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=10) as client:

            async def genuine(job_id: str, body: Mapping[str, str]) -> int:
                headers = {HEADER: token(SECRET, job_id)}
                return (await client.post(f"/callbacks/{job_id}", json=body, headers=headers)).status_code

            async def other(headers: Mapping[str, str], body: bytes) -> int:
                return (await client.post(f"/callbacks/{self.refused_at}", content=body, headers=headers)).status_code

            async def health() -> int:
                return (await client.get("/healthz")).status_code

            genuine_ones = [genuine(*sent) for sent in self.genuine.values()]
            others = [other(*sent) for sent in self.refused.values()]
            *statuses, healthy = await asyncio.gather(*genuine_ones, *others, health())
        heard = dict(zip(self.genuine, statuses, strict=False))
        return heard, dict(zip(self.refused, statuses[len(heard) :], strict=True)), healthy

    def ready(self) -> int:
        status: int = httpx2.get(f"{self.url}/readyz", timeout=10).status_code
        return status


def said(row: Row) -> dict[str, str]:
    return {"transcript_id": str(row.subject), "status": "completed"}


@contextmanager
def locked(premises: Premises, service: Process) -> Iterator[None]:
    other = sqlite3.connect(store(premises), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()


@contextmanager
def disk_full(premises: Premises, service: Process) -> Iterator[None]:
    filler = store(premises).parent / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    yield
    filler.unlink()


@contextmanager
def size_limited(premises: Premises, service: Process) -> Iterator[None]:
    """Nearly a full disk: no file of the service may grow beyond what the WAL is."""
    most = Path(f"{store(premises)}-wal").stat().st_size
    unlimited = resource.prlimit(service.popen.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.popen.pid, resource.RLIMIT_FSIZE, (most, unlimited[1]))
    yield
    resource.prlimit(service.popen.pid, resource.RLIMIT_FSIZE, unlimited)


@contextmanager
def read_only(premises: Premises, service: Process) -> Iterator[None]:
    file = store(premises)
    modes = {path: path.stat().st_mode for path in [file.parent, *file.parent.glob(f"{file.name}*")]}
    for path in modes:
        path.chmod(0o555 if path.is_dir() else 0o444)
    # What is open stays writable; only who opens it anew, as after any trouble, finds out.
    with locked(premises, service):
        eventually(lambda: service.lines("store.failed"))
    yield
    for path, mode in modes.items():
        path.chmod(mode)


@contextmanager
def gone(premises: Premises, service: Process) -> Iterator[None]:
    file = store(premises)
    aside = file.with_name("aside")
    file.rename(aside)
    yield
    aside.rename(file)


def store(premises: Premises) -> Path:
    return Path(premises.environment["AFTERWORD_JOBS"].removeprefix("sqlite:///"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A file system of its own that is easily filled; None where none can be mounted, which takes root."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "none", place], check=False, capture_output=True
    )
    if mounted.returncode:
        yield None
        return
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.parametrize("broken", [locked, read_only, gone], ids=lambda way: way.__name__)
def test_with_the_store_broken_only_503_is_answered_and_all_is_well_again(
    tmp_path: Path, standin: str, broken: Break
) -> None:
    (tmp_path / "store").mkdir()
    premises = Premises(tmp_path, standin, AFTERWORD_JOBS=f"sqlite:///{tmp_path}/store/jobs.db")
    _goes_through_it(premises, broken)


def test_with_the_disk_full_only_503_is_answered_and_all_is_well_again(
    tmp_path: Path, standin: str, small_disk: Path | None
) -> None:
    premises = Premises(tmp_path, standin, AFTERWORD_JOBS=f"sqlite:///{small_disk or tmp_path}/jobs.db")
    _goes_through_it(premises, disk_full if small_disk else size_limited)


def _goes_through_it(premises: Premises, broken: Break) -> None:
    with Process(premises, before=as_anybody) as service:
        premises.drop("ended.wav", "This one is through.")
        eventually(lambda: [row.ended for row in rows(premises).values()] == [True])
        set_faults(premises.standin, {"on": "submit", "do": "take", "seconds": 2.0})
        premises.drop("waiting.wav", "This one is at the vendor.")
        eventually(lambda: "waiting.wav" in rows(premises) and rows(premises)["waiting.wav"].subject)
        standing = rows(premises)
        caller = Caller(premises, standing["waiting.wav"], standing["ended.wav"])
        with broken(premises, service):
            genuine, others, healthy = asyncio.run(caller.answers())
            assert set(genuine.values()) == {OURS}, genuine
            assert list(others.values()) == [401, 401, 400, 413]
            assert healthy == 200
            premises.drop("meanwhile.wav", "This one came while nothing could be written.")
            eventually(lambda: service.lines("store.failed"))
        eventually(lambda: caller.ready() == 200)
        eventually(lambda: set(asyncio.run(caller.answers())[0].values()) == {GENUINE})
        assert list(asyncio.run(caller.answers())[1].values()) == [401, 401, 400, 413]
        eventually(lambda: len(premises.events()) == 3)
        assert service.popen.poll() is None
        assert service.stop()[0] == 0
    audit(premises, 3)
    assert all(row.ended and not row.lease_until for row in rows(premises).values())
    assert not [line for line in service.lines() if line["event"] in {"job.crashed", "thread.failed"}]
    assert len(ledger(premises.standin)["uploads"]) == 3
