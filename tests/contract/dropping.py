"""A folder to drop recordings into, watched, and what to look at."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.adapters.drops.folder import Folder
from service.domain.job import Recording
from service.domain.tally import NoTally

SETTLE = 0.05


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happened():
            await asyncio.sleep(0.005)


@dataclass
class Taken:
    """Takes what is dropped, after raising what it was told to."""

    recordings: list[Recording] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    trouble: list[Exception] = field(default_factory=list)

    async def __call__(self, recording: Recording, names: Sequence[str]) -> None:
        if self.trouble:
            raise self.trouble.pop(0)
        self.recordings.append(recording)
        self.names.update(names)

    async def known(self, name: str) -> bool:
        return name in self.names

    @property
    def keys(self) -> list[str]:
        return sorted(recording.key for recording in self.recordings)


@asynccontextmanager
async def watching(folder: Path, taken: Taken, **options: object) -> AsyncIterator[None]:
    chosen = {
        "known": taken.known,
        "wanted": lambda key, uri: True,
        "clock": time.time,
        "tally": NoTally(),
        "settle": SETTLE,
    } | options
    watch = asyncio.create_task(Folder(folder, **chosen).watch(taken))
    try:
        yield
        assert not watch.done()
    finally:
        watch.cancel()
        async with asyncio.timeout(30):
            with pytest.raises(asyncio.CancelledError):
                await watch


@contextmanager
def without_privileges() -> Iterator[Path]:
    """A folder, and no right to read what may not be read, even where the tests run as root."""
    folder = Path(tempfile.mkdtemp())
    before = os.geteuid()
    if before == 0:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(before)
        shutil.rmtree(folder)


def drop(inbox: Path, key: str, content: bytes = b"sound") -> Path:
    path = inbox / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def told(logs: list[dict[str, object]], event: str) -> list[tuple[object, object]]:
    return sorted((entry["key"], entry["reason"]) for entry in logs if entry["event"] == event and "key" in entry)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def logs() -> Iterator[list[dict[str, object]]]:
    with capture_logs() as entries:
        yield entries
