"""A person at a desk: a folder, an environment, and commands that are typed there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service import telemetry
from tests.cli.desk import Desk, Service, clean_environment
from tests.standin import running


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """In an empty folder, with nothing of ours in the environment."""
    clean_environment(monkeypatch)
    monkeypatch.chdir(tmp_path)
    yield Desk(tmp_path, monkeypatch, capsys)
    telemetry.reset()


@pytest.fixture
def configured(desk: Desk, standin: str) -> Desk:
    """With settings and pipelines that are right, and the stand-in on the other side."""
    desk.configure(standin)
    return desk


@pytest.fixture
def service(configured: Desk) -> Iterator[Service]:
    """`afterword serve` as a process of its own, in the same folder."""
    with Service(configured.folder) as running_service:
        yield running_service


@pytest.fixture
def standin() -> Iterator[str]:
    with running() as url:
        yield url
