"""Every row of the table of answers, on a real server."""

import asyncio

import pytest

from service.domain.tokens import token
from service.engine.row import Callback, Heard, RowId
from service.http.receiver_table import ANSWERS, OUR_TROUBLE, Result
from tests.receiver.conftest import SECRETS, TRANSCRIPT, Public
from tests.receiver.loopback import answered, chunked, request, sent, serving

pytestmark = pytest.mark.anyio

PROOF = [("X-Afterword-Token", token(SECRETS[0], "job_1"))]
SUBJECT = "5551722-f677-48a6-9287-39c0aafd9ac1"


async def test_a_genuine_callback_is_stored_then_answered_then_worked_on(public: Public) -> None:
    answer = await public.post()
    assert (answer.status, answer.body) == (204, b"")
    assert public.ears.heard == [Callback(row_id=RowId("job_1"), subject=SUBJECT)]
    assert public.woken == ["job_1"]
    assert public.counts.last == 1_700_000_000.0


async def test_it_is_answered_only_once_it_is_durable(public: Public) -> None:
    durable = asyncio.Event()
    public.ears.trouble = durable.wait  # type: ignore[assignment]
    posting = asyncio.create_task(public.post())
    await asyncio.sleep(0.05)
    assert not posting.done()
    assert public.woken == []
    durable.set()
    assert (await posting).status == 204


async def test_a_repeated_callback_is_welcome(public: Public) -> None:
    assert [(await public.post()).status for _ in range(3)] == [204, 204, 204]
    assert len(public.ears.heard) == 3


@pytest.mark.parametrize("secret", SECRETS)
async def test_every_secret_verifies(public: Public, secret: str) -> None:
    assert (await public.post(secret=secret)).status == 204


@pytest.mark.parametrize("heard", [Heard.ENDED, Heard.UNKNOWN, Heard.OTHER_SUBJECT])
async def test_what_concerns_nobody_is_taken_and_wakes_nobody(public: Public, heard: Heard) -> None:
    public.ears.answer = heard
    assert (await public.post()).status == 204
    assert public.woken == []
    assert public.counts.by_result == {heard.value: 1}


async def test_redacted_audio_names_no_transcript(public: Public) -> None:
    body = b'{"status":"redacted_audio_ready","redacted_audio_url":"https://x.example/a.mp3?X-Amz-Signature=1"}'
    assert (await public.post(body)).status == 204
    assert public.ears.heard == [Callback(row_id=RowId("job_1"), subject=None)]


@pytest.mark.parametrize("body", [b'{"status":"archived"}', b'{"status":"archived","transcript_id":"t-1"}'])
async def test_an_unknown_status_word_is_taken_as_a_hint(public: Public, body: bytes) -> None:
    assert (await public.post(body)).status == 204
    assert len(public.ears.heard) == 1


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("X-Afterword-Token", "")],
        [("X-Afterword-Token", "0" * 64)],
        [("X-Afterword-Token", token(SECRETS[0], "job_2"))],
        [("X-Afterword-Token", token("x" * 36, "job_1"))],
        [("X-Afterword-Token", token(SECRETS[0], "job_1").upper())],
        [("X-Afterword-Token", token(SECRETS[0], "job_1")[:-1])],
        [("X-Afterword-Token", "\xe9" * 64)],
        [("Authorization", token(SECRETS[0], "job_1"))],
        [*PROOF, *PROOF],
    ],
    ids=[
        "none",
        "empty",
        "made up",
        "other job's",
        "other secret's",
        "upper case",
        "short",
        "bytes",
        "elsewhere",
        "two",
    ],
)
async def test_without_the_jobs_own_token_nothing_is_even_read(public: Public, headers: list[tuple[str, str]]) -> None:
    assert (await sent(public.port, request("/callbacks/job_1", b"not json", headers))).status == 401
    assert public.ears.heard == []


@pytest.mark.parametrize("name", ["", "job_1/", "a/b", "..", "job%2F1", "%00", "j%C3%B6b", "j" * 129, "job%ff", "*"])
async def test_a_path_that_names_no_job_is_refused_even_with_its_token(public: Public, name: str) -> None:
    proof = [("X-Afterword-Token", token(SECRETS[0], name))]
    assert (await sent(public.port, request(f"/callbacks/{name}", TRANSCRIPT, proof))).status == 401


async def test_a_percent_encoded_name_and_a_query_are_the_same_job(public: Public) -> None:
    assert (await sent(public.port, request("/callbacks/job%5F1?a=b", TRANSCRIPT, PROOF))).status == 204
    assert public.woken == ["job_1"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"completed"',
        b"{}",
        b"{",
        b"\xff\xfe{}",
        b"[" * 60_000,
        b'{"status":"completed"}',
        b'{"status":"error","transcript_id":null}',
        b'{"status":"completed","transcript_id":7}',
        b'{"status":"completed","transcript_id":""}',
        b'{"status":"completed","transcript_id":"a b"}',
        b'{"status":"completed","transcript_id":"' + b"a" * 257 + b'"}',
        b'{"status":7,"transcript_id":"t-1"}',
        b'{"status":"","transcript_id":"t-1"}',
        b'{"transcript_id":"t-1"}',
        b'{"status":"redacted_audio_ready"}',
        b"status=completed&transcript_id=t-1",
    ],
)
async def test_what_is_not_the_documented_json_is_refused(public: Public, body: bytes) -> None:
    assert (await public.post(body)).status == 400
    assert public.ears.heard == []


async def test_the_content_type_does_not_matter(public: Public) -> None:
    proof = [*PROOF, ("Content-Type", "text/html")]
    assert (await sent(public.port, request("/callbacks/job_1", TRANSCRIPT, proof))).status == 204


async def test_a_body_of_exactly_64_kib_is_read(public: Public) -> None:
    body = TRANSCRIPT + b" " * (64 * 1024 - len(TRANSCRIPT))
    assert (await public.post(body)).status == 204
    assert (await public.post(body + b" ")).status == 413


async def test_a_body_too_large_by_its_own_account_is_refused_unread(public: Public) -> None:
    head = request("/callbacks/job_1", b"", [*PROOF, ("Content-Length", "65537")], length=False)
    answer = await sent(public.port, head)
    assert (answer.status, answer.headers["connection"]) == (413, "close")


async def test_a_body_that_grows_too_large_is_refused_on_the_way(public: Public) -> None:
    head = request("/callbacks/job_1", b"", [*PROOF, ("Transfer-Encoding", "chunked")], length=False)
    assert (await sent(public.port, head, chunked([b" " * 10_000] * 7))).status == 413
    assert (await sent(public.port, head, chunked([TRANSCRIPT[:9], TRANSCRIPT[9:]]))).status == 204


async def test_who_sends_on_for_ever_is_cut_off(public: Public) -> None:
    head = request("/callbacks/job_1", b"", [("Transfer-Encoding", "chunked")], length=False)
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    writer.write(head + b"5\r\n")
    answer = await answered(reader)
    assert (answer.status, answer.headers["connection"]) == (401, "close")
    assert await reader.read() == b""
    writer.close()


async def test_who_asks_first_is_told_before_sending(public: Public) -> None:
    head = request("/callbacks/job_1", b"", [("Expect", "100-continue"), ("Content-Length", "99999999")], length=False)
    assert (await sent(public.port, head)).status == 401


async def test_the_connection_is_kept_after_a_refusal_that_was_read_to_its_end(public: Public) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    for headers, status in [([], 401), (PROOF, 204), ([], 401), (PROOF, 204)]:
        writer.write(request("/callbacks/job_1", TRANSCRIPT, headers))
        assert (await answered(reader)).status == status
    writer.close()


async def test_callbacks_are_posted(public: Public) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
        reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
        writer.write(request("/callbacks/job_1", b"", PROOF, method=method))
        assert b" 405 " in await reader.readline()
        writer.close()


@pytest.mark.parametrize("url", ["https://h.example/hooks", "https://h.example/hooks/", "https://h.example/ho%6Fks"])
async def test_callbacks_lie_below_the_path_of_the_public_url(public: Public, url: str) -> None:
    async with serving(public.app(url)) as port:
        assert (await sent(port, request("/hooks/callbacks/job_1", TRANSCRIPT, PROOF))).status == 204
        assert (await sent(port, request("/callbacks/job_1", TRANSCRIPT, PROOF))).status == 404
        assert (await sent(port, request("/healthz", method="GET"))).status == 200


@pytest.mark.parametrize(
    "path", ["/", "/callbacks", "/metrics", "/api/jobs", "/docs", "/healthz/", "//callbacks/job_1"]
)
async def test_there_is_nothing_else(public: Public, path: str) -> None:
    for method in ("GET", "POST"):
        assert (await sent(public.port, request(path, TRANSCRIPT, PROOF, method=method))).status == 404


def test_a_4xx_is_never_about_us_and_a_2xx_is_always_durable() -> None:
    for result in Result:
        status = ANSWERS[result][0] if result is not Result.GONE else 503
        assert (status == 204) == result.stored
        assert (status == 503) == (result in OUR_TROUBLE)
