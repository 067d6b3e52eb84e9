"""A stand-in on loopback, a client with its key, and a receiver for its webhooks."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import orjson
import pytest

from tests.standin import KEY, reset, running


@dataclass(frozen=True, kw_only=True)
class Callback:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float


@dataclass
class Receiver:
    """Answers with the statuses given, the last one again and again; keeps what came."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [204])
    delay: float = 0.0
    came: list[Callback] = field(default_factory=list)

    def answer(self, callback: Callback) -> int:
        self.came.append(callback)
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def wait(self, count: int, seconds: float = 20) -> list[Callback]:
        until(lambda: len(self.came) >= count, seconds)
        return list(self.came)


class _Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        time.sleep(self.receiver.delay)
        came = Callback(path=self.path, headers=headers, body=orjson.loads(body), at=time.monotonic())
        self.send_response(self.receiver.answer(came))
        self.send_header("content-length", "0")
        self.send_header("location", "/elsewhere")
        self.end_headers()

    def do_GET(self) -> None:
        status, kind, body = self.server.pages.get(self.path, (404, "text/plain", b""))  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing to tell."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    pages: dict[str, tuple[int, str, bytes]]

    def handle_error(self, *_: object) -> None:
        """A client that hung up is part of the tests."""


@contextmanager
def listening(receiver: Receiver, pages: dict[str, tuple[int, str, bytes]]) -> Iterator[Receiver]:
    http = type("Bound", (_Http,), {"receiver": receiver})
    with _Server(("127.0.0.1", 0), http) as server:
        server.pages = pages
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening(Receiver(), {}) as found:
        yield found


@pytest.fixture
def pages() -> dict[str, tuple[int, str, bytes]]:
    return {}


@pytest.fixture
def files(pages: dict[str, tuple[int, str, bytes]]) -> Iterator[str]:
    """A web server that serves `pages`: path to status, type and body."""
    with listening(Receiver(), pages) as found:
        yield found.url


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture
def url(server: str) -> str:
    reset(server)
    return server


@dataclass(frozen=True)
class Vendor:
    """A thin client of `/v2` and `/v1`."""

    http: httpx2.Client

    def upload(self, audio: bytes) -> str:
        url: str = self.http.post("/v2/upload", content=audio).raise_for_status().json()["upload_url"]
        return url

    def submit(self, audio: bytes | str, **parameters: Any) -> str:
        audio_url = audio if isinstance(audio, str) else self.upload(audio)
        answer = self.http.post("/v2/transcript", json={"audio_url": audio_url, **parameters})
        assert answer.status_code == 200, answer.text
        transcript_id: str = answer.json()["id"]
        return transcript_id

    def read(self, transcript_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/v2/transcript/{transcript_id}").raise_for_status().json()
        return found

    def transcribe(self, audio: bytes | str, **parameters: Any) -> dict[str, Any]:
        transcript_id = self.submit(audio, **parameters)
        until(lambda: self.read(transcript_id)["status"] in {"completed", "error"})
        return self.read(transcript_id)

    def ask(self, **body: Any) -> httpx2.Response:
        return self.http.post("/v1/chat/completions", json={"model": "claude-sonnet-4-6", **body})


def vendor_at(url: str) -> Vendor:
    return Vendor(httpx2.Client(base_url=url, headers={"authorization": KEY}, timeout=30))


@pytest.fixture
def vendor(url: str) -> Iterator[Vendor]:
    found = vendor_at(url)
    yield found
    found.http.close()


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for something that another thread brings about."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.005)
