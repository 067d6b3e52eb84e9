"""The stand-in for the flow on a deployed stack."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.standin import QUICK, running


@pytest.fixture
def standin() -> Iterator[str]:
    with running(replace(QUICK, gateway_limit=100_000)) as url:
        yield url
