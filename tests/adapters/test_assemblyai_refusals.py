"""What each documented refusal means: the table of the vendor's API reference, row by row."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.adapters.assemblyai.redaction import LONGEST, redacted
from service.adapters.assemblyai.refusals import Call, classify, retry_after
from service.domain.errors import (
    AccountTrouble,
    Code,
    Gate,
    ModelRefused,
    OutcomeUnknown,
    Permanent,
    Rejected,
    Throttled,
    TranscriptMissing,
    Transient,
    Unavailable,
)


def v2(text: str) -> bytes:
    return json.dumps({"error": text}).encode()


def gateway(text: str, status: int, **more: object) -> bytes:
    return json.dumps({"request_id": "r-1", "code": status, "message": text, **more}).encode()


LOOKUP = "Transcript lookup error, transcript id not found"
NO_TOKEN = "Authentication error, API token missing/invalid"
NEGATIVE = "Your current account balance is negative. Please top up to continue using the API."

ROWS = [
    (Call.SUBMIT, 400, v2('"speech_models" must be a non-empty list'), Rejected),
    (Call.SUBMIT, 400, v2(NEGATIVE), AccountTrouble),
    (Call.SUBMIT, 400, v2(NEGATIVE.upper()), AccountTrouble),
    (Call.SUBMIT, 402, b"", AccountTrouble),
    (Call.SUBMIT, 401, v2(NO_TOKEN), AccountTrouble),
    (Call.SUBMIT, 403, v2("Forbidden"), Throttled),
    (Call.SUBMIT, 403, v2("Cannot access uploaded file"), Rejected),
    (Call.SUBMIT, 404, v2("no such path"), Rejected),
    (Call.SUBMIT, 408, b"", OutcomeUnknown),
    (Call.SUBMIT, 413, b"", Rejected),
    (Call.SUBMIT, 429, v2("Too Many Requests"), Throttled),
    (Call.SUBMIT, 500, v2("Server error, developers have been alerted."), OutcomeUnknown),
    (Call.SUBMIT, 503, b"<html>busy</html>", OutcomeUnknown),
    (Call.SUBMIT, 504, b"", OutcomeUnknown),
    (Call.SUBMIT, 302, b"", Unavailable),
    (Call.UPLOAD, 401, v2(NO_TOKEN), AccountTrouble),
    (Call.UPLOAD, 403, v2("Cannot access uploaded file"), Rejected),
    (Call.UPLOAD, 403, b"", Throttled),
    (Call.UPLOAD, 429, b"", Throttled),
    (Call.UPLOAD, 400, v2("no"), Rejected),
    (Call.UPLOAD, 500, b"", Unavailable),
    (Call.UPLOAD, 408, b"", Unavailable),
    (Call.READ, 400, v2(LOOKUP), TranscriptMissing),
    (Call.READ, 400, v2(LOOKUP.lower() + "."), TranscriptMissing),
    (Call.READ, 404, v2("Not found"), TranscriptMissing),
    (Call.READ, 404, b"<html>nginx</html>", Unavailable),
    (Call.READ, 400, v2("something else"), Rejected),
    (Call.READ, 401, v2(NO_TOKEN), AccountTrouble),
    (Call.READ, 403, b"", Throttled),
    (Call.READ, 429, b"", Throttled),
    (Call.READ, 503, b"", Unavailable),
    (Call.READ, 307, b"", Unavailable),
    (Call.LIST, 400, v2("'after_id' must be a newer transcript than 'before_id'"), Rejected),
    (Call.LIST, 400, v2(LOOKUP), Rejected),
    (Call.LIST, 504, b"", Unavailable),
    (Call.DELETE, 400, v2("transcript id not found"), TranscriptMissing),
    (Call.DELETE, 500, b"", Unavailable),
    (Call.ASK, 400, gateway("one of messages or prompt required", 400), Rejected),
    (Call.ASK, 400, gateway("model_region can only be set to global", 400), Rejected),
    (Call.ASK, 400, gateway("model no-such-model is not supported", 400), ModelRefused),
    (Call.ASK, 400, gateway("model gpt-4.1 does not support response_format", 400), ModelRefused),
    (Call.ASK, 400, gateway("Your account does not have access to this LLM Gateway model", 400), ModelRefused),
    (Call.ASK, 403, gateway("Your account does not have access to this LLM Gateway model", 403), ModelRefused),
    (Call.ASK, 403, gateway("Your account does not have access to LLM Gateway.", 403), AccountTrouble),
    (Call.ASK, 400, gateway("model context limit exceeded", 400), ModelRefused),
    (Call.ASK, 400, gateway(NEGATIVE, 400), AccountTrouble),
    (Call.ASK, 401, json.dumps({"error": NO_TOKEN, "status": "error", "request_id": "r-2"}).encode(), AccountTrouble),
    (Call.ASK, 402, b"", AccountTrouble),
    (Call.ASK, 403, b"<html>proxy</html>", AccountTrouble),
    (Call.ASK, 404, gateway("transcript not found", 404), TranscriptMissing),
    (Call.ASK, 404, gateway("transcript deleted", 404), TranscriptMissing),
    (Call.ASK, 404, gateway("page not found", 404), Rejected),
    (Call.ASK, 404, b"<html>nginx</html>", Unavailable),
    (Call.SUBMIT, 404, b"", Unavailable),
    (Call.ASK, 429, gateway("too many requests for this action", 429), Throttled),
    (Call.ASK, 500, gateway("upstream", 500), OutcomeUnknown),
    (Call.ASK, 408, b"", OutcomeUnknown),
    (Call.ASK, 308, b"", Unavailable),
]


@pytest.mark.parametrize(("call", "status", "body", "kind"), ROWS)
def test_each_refusal_is_of_its_class(call: Call, status: int, body: bytes, kind: type[Exception]) -> None:
    assert type(classify(status, {}, body, call)) is kind


@pytest.mark.parametrize(
    ("call", "status", "body", "gate"),
    [
        (Call.READ, 401, b"", Gate.TRANSCRIPTION),
        (Call.SUBMIT, 400, v2(NEGATIVE), Gate.BALANCE),
        (Call.ASK, 401, b"", Gate.GATEWAY),
        (Call.ASK, 400, v2(NEGATIVE), Gate.GATEWAY),
    ],
)
def test_the_accounts_trouble_names_the_gate_it_shuts(call: Call, status: int, body: bytes, gate: Gate) -> None:
    error = classify(status, {}, body, call)
    assert isinstance(error, AccountTrouble)
    assert error.gate is gate


@pytest.mark.parametrize(
    ("call", "code"),
    [(Call.SUBMIT, Code.TRANSCRIPTION_REJECTED), (Call.ASK, Code.PROMPT_REJECTED)],
)
def test_a_rejection_carries_the_vendors_own_words_and_its_code(call: Call, code: Code) -> None:
    error = classify(400, {}, gateway("model X does not support tools", 400), call)
    assert isinstance(error, Rejected)
    assert (error.code, error.message, error.request_id) == (code, "model X does not support tools", "r-1")


@pytest.mark.parametrize(
    ("body", "message", "request_id"),
    [
        (gateway("invalid request body", 400, metadata={"errors": ["a is wrong", "b too"]}),
         "invalid request body: a is wrong; b too", "r-1"),
        (b'{"error":"no","status":"error","request_id":"r-2"}', "no", "r-2"),
        (b'{"error":{"code":400,"message":"nested","metadata":{"errors":["c"]}},"request_id":"r-3"}',
         "nested: c", "r-3"),
        (b'{"error":{"code":400,"message":"nested","request_id":"r-4"}}', "nested", "r-4"),
        (b'{"error":null,"message":7,"metadata":[]}', "HTTP 400 without a reason", None),
        (b"[1]", "HTTP 400 without a reason", None),
        (b"<html>no</html>", "HTTP 400 without a reason", None),
        (b"plain words", "plain words", None),
        (b"\xff\xfe\x00", "\ufffd\ufffd\ufffd", None),
        (b"", "HTTP 400 without a reason", None),
    ],
)  # fmt: skip
def test_all_three_envelopes_are_read(body: bytes, message: str, request_id: str | None) -> None:
    error = classify(400, {}, body, Call.ASK)
    assert isinstance(error, Permanent)
    assert (error.message, error.request_id) == (message, request_id)


def test_the_vendors_failure_is_told_with_its_status() -> None:
    error = classify(503, {}, gateway("upstream is busy", 503), Call.ASK)
    assert isinstance(error, OutcomeUnknown)
    assert (error.message, error.request_id) == ("HTTP 503: upstream is busy", "r-1")


def test_the_request_id_may_stand_in_a_header() -> None:
    error = classify(400, {"x-request-id": "h-1"}, b"no", Call.ASK)
    assert isinstance(error, Rejected)
    assert error.request_id == "h-1"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        (None, None, None),
        ("7", None, 7.0),
        (" 2.5 ", None, 2.5),
        ("0", None, 1.0),
        ("86400", None, 3600.0),
        ("99999999999999999999", None, None),
        ("-5", None, None),
        ("soon", None, None),
        ("soon", "soon", None),
        ("Sun, 22 Nov 2026 10:00:30 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 30.0),
        ("Sun, 22 Nov 2026 10:00:30 -0000", "Sun, 22 Nov 2026 10:00:00 GMT", 30.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 1.0),
        ("Sun, 22 Nov 2026 10:00:30 GMT", None, None),
    ],
)
def test_retry_after_is_read_in_seconds_or_as_a_date_and_bounded(
    value: str | None, date: str | None, seconds: float | None
) -> None:
    assert retry_after(value, date) == seconds


@pytest.mark.parametrize(
    ("call", "status", "headers", "seconds"),
    [
        (Call.READ, 429, {"retry-after": "3"}, 3.0),
        (Call.READ, 429, {}, 10.0),
        (Call.SUBMIT, 403, {}, 10.0),
        (Call.ASK, 429, {}, 60.0),
        (Call.ASK, 429, {"retry-after": "12"}, 12.0),
        (Call.ASK, 503, {"retry-after": "9"}, 9.0),
        (Call.READ, 503, {}, None),
    ],
)
def test_what_the_vendor_says_of_waiting_is_carried(
    call: Call, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    error = classify(status, headers, b"", call)
    assert isinstance(error, Transient)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Download error, unable to download https://b.s3.amazonaws.com/k.mp3?X-Amz-Signature=ab&x=1. Please make sure",
         "Download error, unable to download https://b.s3.amazonaws.com/k.mp3 Please make sure"),
        ("403 Client Error: Forbidden for url: https://u:p@h/k?a=b", "403 Client Error: Forbidden for url: https://h/k"),
        ("at https://user:pass@host:8443?token", "at https://host:8443"),
        ("at https://u:p@s@host/x@y", "at https://host/x@y"),
        ("spaced https://h/a b?token=secret", "spaced https://h/a b"),
        ("bare X-Amz-Signature=abc&X-Amz-Credential=k left", "bare left"),
        ("why?", "why?"),
        ("two\nlines\tand \x07 bell", "two lines and \ufffd bell"),
    ],
)  # fmt: skip
def test_texts_lose_what_opens_doors(text: str, clean: str) -> None:
    assert " ".join(redacted(text).split()) == clean


@given(st.text(max_size=6000))
def test_no_text_is_too_long_or_breaks_a_line(text: str) -> None:
    clean = redacted(text)
    assert len(clean) <= LONGEST
    assert clean.isprintable()


@given(
    st.text(max_size=80), st.text(st.characters(categories=["L", "N"]), min_size=8, max_size=40), st.text(max_size=80)
)
def test_no_secret_of_a_query_survives(before: str, secret: str, after: str) -> None:
    assume(secret not in before + after)
    assert secret not in redacted(f"{before} https://host/path?sig={secret} {after}")


@given(
    st.integers(300, 599),
    st.dictionaries(st.sampled_from(["retry-after", "date", "x-request-id"]), st.text(max_size=40)),
    st.binary(max_size=300),
    st.sampled_from(Call),
)
def test_no_answer_is_without_a_class(status: int, headers: dict[str, str], body: bytes, call: Call) -> None:
    error = classify(status, headers, body, call)
    assert isinstance(error, Transient | Permanent)
    if isinstance(error, OutcomeUnknown):
        assert call.billed
