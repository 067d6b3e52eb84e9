"""A whole service in this process, with the stand-in on the other side and a folder to drop recordings into."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from service.domain.pipeline import Pipelines
from service.domain.pipelines.file import load
from service.engine.row import Row
from service.ports.store import Store
from service.serve import Addresses, running
from service.settings.load import Settings
from service.wiring import amazon, opened_store
from tests.ports import free_port
from tests.standin import KEY, write_script

SECRET = "one-secret-of-more-than-thirty-two-characters"
WITHIN = 30.0
PIPELINES = """
[defaults]
model = "claude-sonnet-4-6"
max_tokens = 400

[[pipelines]]
name = "calls"
match = ["**/*.wav"]

[pipelines.transcript]
speaker_labels = true

[[pipelines.prompts]]
name = "summary"
prompt = "Summarize the call.\\n\\n{{ transcript }}"

[[pipelines.prompts]]
name = "next-steps"
prompt = "After {{ answers.summary }}: what is next?\\n\\n{{ utterances }}"

[[pipelines.prompts]]
name = "mood"
required = false
prompt = "Name the mood.\\n\\n{{ transcript }}"

[pipelines.attributes]
recording = "source.key"
"""


class Premises:
    """Where the service under test lives: its folder, its settings, and what can be seen of it from outside."""

    def __init__(self, folder: Path, standin: str, *, callbacks: bool = True, **more: str) -> None:
        self.folder = folder
        self.standin = standin
        self.inbox = folder / "inbox"
        self.inbox.mkdir(exist_ok=True)
        self.port = free_port()
        self.environment = {
            "ASSEMBLYAI_API_KEY": KEY,
            "AFTERWORD_ASSEMBLYAI_URL": standin,
            "AFTERWORD_LLM_GATEWAY_URL": standin,
            "AFTERWORD_PIPELINES": str(folder / "pipelines.toml"),
            "AFTERWORD_DROPS": str(self.inbox),
            "AFTERWORD_JOBS": f"sqlite:///{folder}/jobs.db",
            "AFTERWORD_RESULTS": str(folder / "results"),
            "AFTERWORD_EVENTS": str(folder / "events.jsonl"),
            "AFTERWORD_HOST": "127.0.0.1",
            "AFTERWORD_PORT": str(self.port),
            "AFTERWORD_OPS_PORT": str(free_port()),
            "AFTERWORD_SETTLE": "0.05",
            "AFTERWORD_RECONCILE_AFTER": "1",
            "AFTERWORD_ADOPT_WITHIN": "1",
            "AFTERWORD_SHUTDOWN_GRACE": "5",
            **more,
        }
        if callbacks:
            self.environment["AFTERWORD_PUBLIC_URL"] = f"http://127.0.0.1:{self.port}"
            self.environment["AFTERWORD_WEBHOOK_SECRETS"] = SECRET
        self.pipelines(PIPELINES)

    @property
    def settings(self) -> Settings:
        return Settings.load(self.environment)

    @property
    def loaded(self) -> Pipelines:
        return load(self.settings.pipelines.place.path).pipelines

    def pipelines(self, text: str) -> None:
        """Write the pipelines file anew; it is read at the next start."""
        (self.folder / "pipelines.toml").write_text(text)

    def drop(self, name: str, *texts: str) -> Path:
        """A recording in which these texts are spoken, by two speakers in turn."""
        beside = write_script(self.folder / "making" / name, *texts)
        place = self.inbox / name
        place.parent.mkdir(parents=True, exist_ok=True)
        return beside.rename(place)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Addresses]:
        """The service at work; a part of it that breaks fails the test."""
        settings = self.settings
        async with running(settings, load(settings.pipelines.place.path).pipelines) as (addresses, failed):
            yield addresses
            if failed.done():
                failed.result()

    def events(self) -> list[dict[str, Any]]:
        """What subscribers have heard so far."""
        path = self.folder / "events.jsonl"
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    async def heard(self, count: int) -> list[dict[str, Any]]:
        """The events, once there are so many."""
        await eventually(lambda: len(self.events()) >= count)
        return self.events()

    def keys(self, part: str) -> list[str]:
        """The results whose key contains this."""
        root = self.folder / "results"
        keys = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
        return sorted(key for key in keys if part in key)

    def stored(self, key: str) -> bytes:
        """The bytes of a result."""
        return (self.folder / "results" / key).read_bytes()

    def files(self, pattern: str) -> list[Path]:
        return sorted((self.folder / "results").rglob(pattern))

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """The job store, opened as another process would."""
        with amazon() as aws:
            async with opened_store(self.settings, aws) as store:
                yield store

    async def rows(self) -> Mapping[str, Row]:
        """The jobs by the key of their recording, read as another process would."""
        async with self.store() as store:
            return {row.facts["recording"]["key"]: row for row in await store.jobs.page(limit=1000)}  # type: ignore[index]

    async def metric(self, addresses: Addresses, name: str) -> float:
        """The sum of a metric over its labels."""
        async with httpx2.AsyncClient() as client:
            page = (await client.get(f"{addresses.ops}/metrics")).text
        lines = [line for line in page.splitlines() if line.partition("{")[0].partition(" ")[0] == name]
        return sum(float(line.rpartition(" ")[2]) for line in lines)


async def eventually(true: Callable[[], bool], within: float = WITHIN) -> None:
    """Return as soon as it is true; fail when it never is."""
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.02)


async def until(true: Callable[[], Awaitable[bool]], within: float = WITHIN) -> None:
    """As `eventually`, for what has to be asked."""
    async with asyncio.timeout(within):
        while not await true():
            await asyncio.sleep(0.05)
