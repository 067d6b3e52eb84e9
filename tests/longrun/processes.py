"""The service as processes of their own, to be stopped, frozen, killed and looked at from outside."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import psutil

from service.engine.row import Row
from tests.ports import free_port
from tests.premises import Premises
from tests.standin import ledger

WITHIN = 45.0
"""Seconds that anything may take on a busy machine before a test calls it stuck."""


class Process:
    """`afterword serve` on these premises; `more` are settings of this process alone."""

    def __init__(
        self,
        premises: Premises,
        name: str = "service",
        more: Mapping[str, str] = MappingProxyType({}),
        *,
        before: Callable[[], object] | None = None,
    ) -> None:
        """`before` is done by the new process before it becomes the service."""
        self.log = premises.folder / f"{name}.log"
        ours = {key: value for key, value in os.environ.items() if not key.startswith(("AFTERWORD_", "ASSEMBLYAI_"))}
        self.environment = ours | premises.environment | {"AFTERWORD_LOG_FORMAT": "json", **more}
        self._folder = premises.folder
        self._before = before
        self.popen: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            begins = log.tell()
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "service", "serve"],
                env=self.environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                preexec_fn=self._before,  # noqa: PLW1509  it takes no locks
            )
        eventually(lambda: b"service.started" in self.log.read_bytes()[begins:] or self.popen.poll() is not None)
        assert self.popen.poll() is None, self.log.read_text()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.popen.poll() is None:
            self.thaw()
            self.popen.terminate()
            try:
                self.popen.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def freeze(self) -> None:
        """Stop it where it stands; returns once no thread of it runs any more."""
        self.popen.send_signal(signal.SIGSTOP)
        eventually(lambda: psutil.Process(self.popen.pid).status() == psutil.STATUS_STOPPED)

    def thaw(self) -> None:
        self.popen.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def stop(self, within: float = WITHIN) -> tuple[int, float]:
        """Ask it to stop; the exit code, and the seconds that it took."""
        began = time.monotonic()
        self.popen.terminate()
        return self.popen.wait(within), time.monotonic() - began

    def memory(self) -> int:
        """Bytes resident now."""
        resident: int = psutil.Process(self.popen.pid).memory_info().rss
        return resident

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """What it logged so far, all or one kind of event; a line that is just being written is left out."""
        found = []
        for line in self.log.read_bytes().split(b"\n")[:-1]:
            with suppress(json.JSONDecodeError):
                found.append(json.loads(line))
        return [line for line in found if event is None or line.get("event") == event]


def beside(premises: Premises) -> Mapping[str, str]:
    """Settings for another process on the same premises; the vendor calls back to the first one's port."""
    return {"AFTERWORD_PORT": str(free_port()), "AFTERWORD_OPS_PORT": str(free_port())}


def eventually(true: Callable[[], object], within: float = WITHIN, every: float = 0.05) -> None:
    """Return as soon as it is true; fail when it never is."""
    ends = time.monotonic() + within
    while not true():
        assert time.monotonic() < ends, "what was waited for did not happen"
        time.sleep(every)


def rows(premises: Premises) -> Mapping[str, Row]:
    """The jobs by the key of their recording."""
    return asyncio.run(premises.rows())


def calls(url: str, *kinds: str) -> int:
    """How many calls of these kinds the stand-in has had."""
    counted: dict[str, int] = ledger(url)["calls"]
    return sum(counted.get(kind, 0) for kind in kinds)


def polls(url: str) -> int:
    return calls(url, "read", "list")


def audit(premises: Premises, recordings: int, *, answers: int = 3, asked_again: int = 0) -> dict[str, Any]:
    """Hold the books against the promises: paid once, told once, whole results; the ledger, for further questions."""
    found = ledger(premises.standin)
    totals = found["totals"]
    events = premises.events()
    assert len({event["id"] for event in events}) == len(events) == recordings
    assert {event["data"]["outcome"] for event in events} == {"complete"}
    results = [json.loads(path.read_bytes()) for path in premises.files("result.json")]
    assert [len(result["answers"]) for result in results] == [answers] * recordings
    assert totals["transcripts_billed"] == recordings
    assert totals["paid_twice"]["transcripts"] == 0
    assert totals["submissions"] == recordings
    assert recordings * answers <= totals["asks_billed"] <= recordings * answers + asked_again
    return found


def unfinished(folder: Path) -> list[Path]:
    """Files that a crash left half written."""
    return list(folder.rglob("*.part"))
