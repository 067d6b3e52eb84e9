"""Whatever is sent: an answer of the table, and a log that holds nothing of it."""

import asyncio
import io
import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message, Scope

from service import telemetry
from service.domain.tokens import token
from service.engine.errors import StoreTrouble
from service.engine.row import Heard
from tests.receiver.conftest import SECRETS, Public

MARK = "zQ9xbodymark"
PIECES = st.lists(st.binary(max_size=400) | st.binary(max_size=20).map(lambda b: b * 2000), max_size=6)
SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "status": st.text(max_size=80) | st.just(f"a {MARK}") | st.none() | st.integers(),
        "transcript_id": st.text() | st.none(),
    },
)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    telemetry.configure("json", "debug", stream)
    yield stream
    telemetry.reset()


def asked(public: Public, pieces: list[bytes], headers: list[tuple[bytes, bytes]], path: str) -> int:
    """The status that the application itself answers, without a server that could hide anything."""

    async def main() -> int:
        queue = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        queue.append({"type": "http.request", "body": b"", "more_body": False})
        answered: list[Message] = []

        async def receive() -> Message:
            return queue.pop(0) if queue else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            answered.append(message)

        scope: Scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
        await public.app()(scope, receive, send)
        return int(answered[0]["status"])

    return asyncio.run(main())


@given(
    pieces=PIECES,
    name=st.sampled_from(["job_1", "job_2"]) | st.text(max_size=150),
    forged=st.sampled_from([None, b"", b"x" * 64]) | st.binary(max_size=80),
    length=st.none() | st.binary(max_size=30) | st.integers(0, 2**70).map(lambda n: b"%d" % n),
    heard=st.sampled_from([*Heard, StoreTrouble(), OSError()]),
)
@settings(max_examples=150, deadline=None)
def test_every_request_gets_an_answer_of_the_table(
    pieces: list[bytes], name: str, forged: bytes | None, length: bytes | None, heard: Heard | Exception
) -> None:
    public = Public()

    async def trouble() -> None:
        if isinstance(heard, Exception):
            raise heard

    public.ears.trouble = trouble
    public.ears.answer = heard if isinstance(heard, Heard) else Heard.COUNTED
    genuine = token(SECRETS[0], name).encode()
    headers = [(b"x-afterword-token", genuine if forged is None else forged)]
    headers += [(b"content-length", length)] if length is not None else []
    status = asked(public, pieces, headers, f"/callbacks/{name}")
    assert status in {204, 400, 401, 413, 503}
    assert (status == 204) == bool(public.ears.heard)
    assert forged is None or status == 401
    if status == 503:
        assert isinstance(heard, Exception)


@given(said=SHAPED, genuine=st.booleans(), trouble=st.booleans())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_line_of_the_log_holds_a_token_a_secret_or_a_body(
    log: io.StringIO, said: dict[str, object], genuine: bool, trouble: bool
) -> None:
    public = Public()

    async def fails() -> None:
        raise OSError(f"{MARK} {SECRETS[0]}")

    public.ears.trouble = fails if trouble else None
    presented = token(SECRETS[0] if genuine else MARK, "job_1")
    body = json.dumps({"text": MARK, "redacted_audio_url": f"https://x.example/{MARK}?sig={MARK}", **said}).encode()
    asked(public, [body], [(b"x-afterword-token", presented.encode())], "/callbacks/job_1")
    logged = log.getvalue()
    assert logged
    for secret in (*SECRETS, presented, MARK):
        assert secret not in logged
