"""AWS on this machine: an emulator for each test process, and a proxy before it that fails as AWS does.

Fixtures, for tests/conftest.py: `emulator` (one for the session, its address in the environment as boto3 reads it),
`aws` (service.adapters.aws.Aws towards it) and `faulty` (the same through the proxy; its rules are cleared after each
test). Names are made unique by `emulator.name("queue")`, so nothing needs to be torn down.
"""

import functools
import itertools
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.loaders import JSONFileLoader

from service.adapters.aws import Aws
from tests.ports import free_port

REGION = "eu-west-1"
ACCOUNT = "000000000000"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}
STARTS_WITHIN = 30.0
COUNTER = itertools.count(1)


@dataclass
class Emulator:
    """A running emulator; `environment` is what a process needs to take it for AWS."""

    url: str
    clients: dict[str, Any] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self, service: str) -> Any:
        """A client that goes straight to the emulator, whatever the service under test does."""
        if service not in self.clients:
            self.clients[service] = client(service, self.url)
        return self.clients[service]

    def name(self, kind: str) -> str:
        """A name that nobody has used yet, fit for buckets, tables, queues and topics."""
        return f"{kind}-{os.getpid()}-{next(COUNTER)}"


@dataclass
class Faulty:
    """The proxy before the emulator."""

    url: str

    def rules(self, *rules: Mapping[str, Any]) -> None:
        """These rules and no others: `{"service": "dynamodb", "operation": "PutItem", "times": 2, "error": {…}}`."""
        _asked(f"{self.url}/_microburst/rules", "POST", json.dumps(rules).encode())

    def clear(self) -> None:
        """No rules, and nothing remembered of what they did."""
        self.rules()
        _asked(f"{self.url}/_microburst/fired", "DELETE")

    def fired(self) -> Any:
        """What the proxy tells of the faults so far."""
        return json.loads(_asked(f"{self.url}/_microburst/fired"))


def client(service: str, url: str, **credentials: str) -> Any:
    """A client for tests: few attempts, short patience, path-style buckets."""
    config = Config(
        retries={"total_max_attempts": 2},
        connect_timeout=2,
        read_timeout=20,
        signature_version="s3v4" if service == "s3" else None,
        s3={"addressing_style": "path"},
    )
    keys = credentials or {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(service, endpoint_url=url, region_name=REGION, config=config, **keys)  # type: ignore[call-overload]


@contextmanager
def emulating(log: Path, port: int | None = None, **environment: str) -> Iterator[Emulator]:
    """An emulator of its own, for tests that need it set up otherwise (`AUTH="true"`)."""
    port = port or free_port()
    variables = {
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "BIND_HOST": "127.0.0.1",
        "LOG_LEVEL": "ERROR",
        **environment,
    }
    with _process([str(Path(sys.executable).with_name("ministack"))], variables, log):
        url = f"http://127.0.0.1:{port}"
        _answering(f"{url}/_ministack/health", log)
        yield Emulator(url)


@contextmanager
def failing(upstream: str, log: Path) -> Iterator[Faulty]:
    """A proxy before the emulator at `upstream`."""
    port = free_port()
    program = str(Path(sys.executable).with_name("microburst"))
    with _process([program, "--upstream", upstream, "--port", str(port), "--host", "127.0.0.1"], {}, log):
        # By name: in a host of several labels the proxy looks for a service of AWS's, and reads the descriptions of
        # all there are at the first request (three seconds, 400 MB).
        url = f"http://localhost:{port}"
        _answering(f"{url}/_microburst/fired", log)
        yield Faulty(url)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    # Most of what a client costs is reading what AWS says of its services: once for all of them is enough.
    read = functools.cache(JSONFileLoader().load_file)
    with emulating(tmp_path_factory.mktemp("emulator") / "log") as running, pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: read(path))
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(scope="session")
def proxy(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    with failing(emulator.url, tmp_path_factory.mktemp("proxy") / "log") as running:
        yield running


@pytest.fixture
def faulty(proxy: Faulty, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """Whatever reads the environment from now on goes through the proxy."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    yield proxy
    proxy.clear()


@pytest.fixture
def aws(emulator: Emulator) -> Iterator[Aws]:
    made = Aws()
    yield made
    made.close()


@contextmanager
def _process(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answering(url: str, log: Path) -> None:
    ends = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            _asked(url)
        except OSError:
            if time.monotonic() > ends:
                raise AssertionError(f"nothing answers at {url}: {log.read_text()[-2000:]}") from None
            time.sleep(0.05)
        else:
            return


def _asked(url: str, method: str = "GET", body: bytes | None = None) -> bytes:
    request = urllib.request.Request(url, body, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return bytes(answer.read())
