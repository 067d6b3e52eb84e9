"""The stand-in and the premises that flow tests start from."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from service.domain.retry import Retry
from tests.premises import Premises
from tests.standin import QUICK, running


@pytest.fixture
def standin() -> Iterator[str]:
    with running(replace(QUICK, gateway_limit=100_000)) as url:
        yield url


@pytest.fixture
def premises(tmp_path: Path, standin: str) -> Premises:
    return Premises(tmp_path, standin)


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process the pauses after trouble, and before a shut gate is tried, begin at a fifth of what they are."""
    monkeypatch.setattr("service.wiring.Retry", partial(Retry, first=0.2))
    monkeypatch.setattr("service.adapters.jobs.gating.FIRST_PAUSE", 0.4)
