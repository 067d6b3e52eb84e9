"""Fixtures for all tests."""

import pytest

from tests.emulator import aws, emulator, faulty, proxy  # noqa: F401  # fixtures are found by being here


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
