"""The stand-in and the premises that flow tests start from."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.premises import Premises
from tests.standin import QUICK, running


@pytest.fixture
def standin() -> Iterator[str]:
    with running(replace(QUICK, gateway_limit=100_000)) as url:
        yield url


@pytest.fixture
def premises(tmp_path: Path, standin: str) -> Premises:
    return Premises(tmp_path, standin)
