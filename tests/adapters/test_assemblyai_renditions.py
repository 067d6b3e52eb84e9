"""Captions, paragraphs and redacted audio, against a real server that does as it is told."""

import json
from collections.abc import AsyncIterator

import pytest

from service.adapters.assemblyai import renditions
from service.domain.errors import Rejected, TranscriptMissing, Unavailable
from service.domain.transcript import Paragraph
from tests.adapters.canned_vendor import RESET, answer
from tests.adapters.vendor_clients import LOOKUP, SOME, Clients, clients

pytestmark = pytest.mark.anyio

GONE = {"error": "Redacted audio is not available for this transcript"}


@pytest.fixture
async def wired() -> AsyncIterator[Clients]:
    async with clients() as made:
        yield made


async def fetched(wired: Clients, url: str) -> bytes:
    async with wired.renditions.sound(url) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_captions_are_text(wired: Clients) -> None:
    wired.vendor.will(answer(body="1\nGrüße".encode()))
    assert await wired.renditions.captions(SOME, "vtt") == "1\nGrüße"
    assert wired.vendor.asked[0].line == "GET /v2/transcript/t-1/vtt HTTP/1.1"


async def test_there_are_no_captions_of_another_form(wired: Clients) -> None:
    with pytest.raises(Rejected):
        await wired.renditions.captions(SOME, "../../x")


async def test_paragraphs_are_read_without_their_words(wired: Clients) -> None:
    told = [
        {"text": "One. Two.", "start": 0, "end": 900.0, "confidence": 1, "words": [{"text": "One."}]},
        {"text": " ", "start": 900, "end": 901},
    ]
    wired.vendor.will(answer(body={"id": "t-1", "paragraphs": told}))
    assert await wired.renditions.paragraphs(SOME) == (Paragraph(text="One. Two.", start=0, end=900),)
    assert wired.vendor.asked[0].line == "GET /v2/transcript/t-1/paragraphs HTTP/1.1"


@pytest.mark.parametrize("told", [{}, {"paragraphs": [{"start": 1, "end": 2}]}, {"paragraphs": [{"text": "x"}]}])
async def test_paragraphs_that_make_no_sense_are_asked_for_again(wired: Clients, told: object) -> None:
    wired.vendor.will(answer(body=told))
    with pytest.raises(Unavailable):
        await wired.renditions.paragraphs(SOME)


async def test_redacted_audio_is_not_ready_or_has_a_url_or_is_gone(wired: Clients) -> None:
    ready = {"status": "redacted_audio_ready", "redacted_audio_url": "https://b.example/a.mp3?X-Amz-Signature=ab"}
    wired.vendor.will(answer(202, {"status": "processing"}), answer(body=ready), answer(400, GONE), answer(400, LOOKUP))
    assert await wired.renditions.redacted_audio(SOME) is None
    assert await wired.renditions.redacted_audio(SOME) == ready["redacted_audio_url"]
    with pytest.raises(Rejected, match="not available"):
        await wired.renditions.redacted_audio(SOME)
    with pytest.raises(TranscriptMissing):
        await wired.renditions.redacted_audio(SOME)
    assert {asked.line for asked in wired.vendor.asked} == {"GET /v2/transcript/t-1/redacted-audio HTTP/1.1"}


async def test_the_sound_is_fetched_without_our_key(wired: Clients) -> None:
    wired.vendor.will(answer(body=b"sound" * 100_000))
    assert await fetched(wired, f"{wired.vendor.url}/a.mp3?X-Amz-Signature=ab") == b"sound" * 100_000
    (asked,) = wired.vendor.asked
    assert asked.line == "GET /a.mp3?X-Amz-Signature=ab HTTP/1.1"
    assert "authorization" not in asked.headers
    assert "the-key" not in json.dumps(asked.headers)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://elsewhere.example/a.mp3", "without encryption"),
        ("http://127.0.0.1.example/a.mp3", "without encryption"),
        ("https://user:word@elsewhere.example/a.mp3", "none that may be fetched"),
        ("ftp://127.0.0.1/a.mp3", "none that may be fetched"),
        ("file:///etc/passwd", "none that may be fetched"),
        ("//127.0.0.1/a.mp3", "none that may be fetched"),
        ("https:///a.mp3", "none that may be fetched"),
        ("https://elsewhere.example:port/a.mp3", "names no URL"),
        ("", "none that may be fetched"),
    ],
)
async def test_what_is_no_encrypted_url_is_not_fetched(wired: Clients, url: str, words: str) -> None:
    with pytest.raises(Unavailable, match=words) as told:
        await fetched(wired, url)
    assert "word" not in str(told.value)
    assert wired.vendor.asked == []


@pytest.mark.parametrize(
    "broken",
    [
        answer(302, headers=[("location", "http://127.0.0.1:1/")]),
        answer(403),
        answer(204),
        answer(206, b"half"),
        answer(body=b"half", length=100),
        answer(body=b""),
        answer(body=b"x", headers=[("content-encoding", "gzip")]),
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nas long as it lasts",
        RESET,
    ],
    ids=["redirect", "403", "204", "206", "half", "empty", "gzip", "no length", "reset"],
)
async def test_what_is_not_the_whole_sound_is_none(wired: Clients, broken: bytes) -> None:
    wired.vendor.will(broken)
    with pytest.raises(Unavailable) as told:
        await fetched(wired, f"{wired.vendor.url}/a.mp3?X-Amz-Signature=5ec12e7")
    assert "5ec12e7" not in str(told.value)
    assert len(wired.vendor.asked) == 1


async def test_more_sound_than_is_taken_is_not_begun(wired: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renditions, "MOST_AUDIO", 10)
    wired.vendor.will(answer(body=b"x" * 11))
    with pytest.raises(Rejected, match="11 bytes, and at most 10"):
        await fetched(wired, f"{wired.vendor.url}/a.mp3")
