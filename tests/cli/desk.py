"""Typing commands and reading what they print."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from service.cli.app import run
from tests.ports import free_port
from tests.standin import KEY, write_script

ROOT = Path(__file__).parents[2]
PIPELINES = """
[defaults]
model = "claude-sonnet-4-6"
max_tokens = 400

[[pipelines]]
name = "calls"
match = ["calls/**/*.wav", "**/*.mp3"]

[[pipelines.prompts]]
name = "summary"
prompt = "Summarize the call. {{ transcript }}"

[[pipelines]]
name = "notes"
match = ["notes/*"]

[[pipelines.prompts]]
name = "title"
prompt = "Give it a title. {{ transcript }}"
"""


@dataclass(frozen=True)
class Ran:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("error: ")]


class Desk:
    """Call it with a command's words; the process is this one."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.environ = monkeypatch.setenv
        self.monkeypatch = monkeypatch
        self.capsys = capsys

    def __call__(self, *words: str) -> Ran:
        self.capsys.readouterr()
        code = run(words)
        said = self.capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return Ran(code, said.out, said.err)

    def configure(self, standin: str, **more: str) -> None:
        configure(self.folder, standin, **more)

    def dotenv(self, settings: Mapping[str, str]) -> None:
        dotenv(self.folder, settings)

    def record(self, name: str) -> Path:
        return record(self.folder, name)

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


class Service:
    """`afterword serve` until the block ends; it must end well."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "serve.log"

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve"],
                cwd=self._folder,
                env=environment(),
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        eventually(lambda: "service.started" in self.log, unless=lambda: self._process.poll() is not None)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(40) == 0, self.log

    @property
    def log(self) -> str:
        return self._log.read_text()


def configure(folder: Path, standin: str, **more: str) -> None:
    """Settings and pipelines that are right."""
    port = free_port()
    settings = {
        "ASSEMBLYAI_API_KEY": KEY,
        "AFTERWORD_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "AFTERWORD_WEBHOOK_SECRETS": "thirty-two-characters-and-some-more",
        "AFTERWORD_ASSEMBLYAI_URL": standin,
        "AFTERWORD_LLM_GATEWAY_URL": standin,
        "AFTERWORD_HOST": "127.0.0.1",
        "AFTERWORD_PORT": str(port),
        "AFTERWORD_OPS_PORT": str(free_port()),
        "AFTERWORD_SETTLE": "0.05",
        **more,
    }
    dotenv(folder, settings)
    (folder / "pipelines.toml").write_text(PIPELINES)


def dotenv(folder: Path, settings: Mapping[str, str]) -> None:
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))


def record(folder: Path, name: str) -> Path:
    return write_script(folder / name, f"This is {name}.", "I hear you.")


def process(*words: str, cwd: Path, **more: Any) -> "subprocess.CompletedProcess[str]":
    """A command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "service", *words],
        cwd=cwd,
        env=environment() | more.pop("environ", {}),
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        **more,
    )


def environment() -> dict[str, str]:
    """Ours, without any setting of the product."""
    kept = {name: value for name, value in os.environ.items() if not _ours(name)}
    return kept | {"PYTHONPATH": str(ROOT)}


def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in filter(_ours, list(os.environ)):
        monkeypatch.delenv(name)


def eventually(true: Callable[[], bool], *, within: float = 30.0, unless: Callable[[], bool] = lambda: False) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline
        assert not unless()
        time.sleep(0.02)


def _ours(name: str) -> bool:
    return name.startswith(("AFTERWORD_", "ASSEMBLYAI_"))
