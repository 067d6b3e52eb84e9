"""Fixtures for all tests."""

import functools
from collections.abc import Iterator

import httpcore2
import pytest
import structlog

from service import telemetry
from tests.emulator import aws, emulator, faulty, proxy  # noqa: F401  # fixtures are found by being here


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Whatever a test makes of the log, the next one finds it as it is by default: else it may miss lines."""
    yield
    if structlog.is_configured():
        telemetry.reset()


@pytest.fixture(scope="session", autouse=True)
def authorities() -> Iterator[None]:
    """Each HTTP client reads the system's certificates, though none speaks TLS here: once for all is enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpcore2, "default_ssl_context", functools.cache(httpcore2.default_ssl_context))
        yield
