"""The vendor's JSON as our records: what is believed, what is passed over and what is garbled."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.assemblyai import wire_gateway, wire_transcripts
from service.adapters.assemblyai.json_values import Garbled
from service.domain.transcript import Document, State, Word

WORD = {"text": "Hello", "start": 10, "end": 250, "confidence": 0.9, "speaker": "A", "channel": None, "novel": 1}
COMPLETED: dict[str, Any] = {
    "id": "0b1c-2d",
    "status": "completed",
    "audio_url": "https://b.s3.amazonaws.com/k.mp3?X-Amz-Signature=ab",
    "webhook_url": "https://hooks.example.com/callbacks/j-1",
    "text": "Hello",
    "words": [WORD],
    "utterances": [{"speaker": "A", "text": "Hello", "start": 10, "end": 250, "confidence": 0.9, "words": [WORD]}],
    "confidence": 1,
    "audio_duration": 7.3,
    "language_code": "en_us",
    "webhook_auth_header_value": "secret",
    "project_id": 7,
}


def body(**changes: object) -> bytes:
    return json.dumps(COMPLETED | changes).encode()


def document(**changes: object) -> Document:
    found = wire_transcripts.reading(body(**changes)).document
    assert found is not None
    return found


def test_a_completed_transcript_becomes_our_document() -> None:
    reading = wire_transcripts.reading(body())
    assert (reading.id, reading.state, reading.deleted, reading.error) == ("0b1c-2d", State.COMPLETED, False, None)
    assert reading.audio_url == COMPLETED["audio_url"]
    assert reading.webhook_url == COMPLETED["webhook_url"]
    assert reading.document is not None
    assert reading.document.model_dump() == {
        "text": "Hello",
        "words": ({"text": "Hello", "start": 10, "end": 250, "confidence": 0.9, "speaker": "A", "channel": None},),
        "utterances": (
            {
                "speaker": "A",
                "text": "Hello",
                "start": 10,
                "end": 250,
                "confidence": 0.9,
                "channel": None,
                "translated_texts": None,
            },
        ),
        "confidence": 1.0,
        "language": "en-US",
        "duration": 8,
        "speech_understanding": None,
        "translated_texts": None,
    }
    assert "secret" not in repr(reading)


@pytest.mark.parametrize(
    ("told", "channels"),
    [
        ({"multichannel": True, "audio_channels": 2}, 2),
        ({"dual_channel": True, "audio_channels": 2}, 2),
        ({"multichannel": True, "audio_channels": None}, 1),
        ({"multichannel": True, "audio_channels": 10**9}, 32),
        ({"multichannel": False, "audio_channels": 2}, 1),
    ],
)
def test_what_is_billed_is_read_channel_by_channel(told: dict[str, object], channels: int) -> None:
    assert wire_transcripts.reading(body(**told)).channels == channels


def test_the_model_that_heard_it_is_read_as_far_as_it_is_a_name() -> None:
    heard = [wire_transcripts.reading(body(speech_model_used=told)).speech_model for told in ("universal-2", 7, None)]
    assert heard == ["universal-2", None, None]


def test_our_document_survives_being_stored() -> None:
    assert Document.model_validate_json(document().model_dump_json()) == document()


def test_words_are_as_good_as_validated_ones() -> None:
    word = document().words[0]
    assert word == Word(text="Hello", start=10, end=250, confidence=0.9, speaker="A")
    assert word == Word.model_validate(word.model_dump())


def test_words_share_what_is_the_same_of_all() -> None:
    first, second = document(words=[WORD, WORD]).words
    assert first.model_fields_set is second.model_fields_set


def test_missing_keys_are_no_failure() -> None:
    reading = wire_transcripts.reading(b'{"id":"a","status":"completed","text":""}')
    assert reading.document == Document(
        text="", words=(), utterances=None, confidence=None, language=None, duration=None
    )


def test_figures_that_are_none_do_not_cost_the_transcript() -> None:
    assert document(confidence=float("nan"), audio_duration=float("inf")) == document(
        confidence=None, audio_duration=None
    )


def test_a_multichannel_turn_is_named_by_its_channel() -> None:
    turn = {"channel": 2, "text": "x", "start": 0, "end": 1}
    turns = document(utterances=[turn]).utterances
    assert turns is not None
    assert (turns[0].speaker, turns[0].channel, turns[0].confidence) == ("2", "2", 0.0)


@pytest.mark.parametrize("status", ["queued", "processing"])
def test_a_running_transcript_has_no_document(status: str) -> None:
    reading = wire_transcripts.reading(body(status=status, text=None, words=None))
    assert (reading.state, reading.document, reading.deleted) == (State(status), None, False)


def test_a_status_we_do_not_know_is_not_the_end() -> None:
    assert wire_transcripts.reading(body(status="resting")).state is State.PROCESSING


def test_a_failed_transcript_tells_why_without_the_signature() -> None:
    text = "Download error, unable to download https://b/k.mp3?X-Amz-Signature=ab. Please make sure"
    reading = wire_transcripts.reading(body(status="error", error=text, text=None))
    assert reading.state is State.ERROR
    assert reading.document is None
    assert reading.error == "Download error, unable to download https://b/k.mp3 Please make sure"


@pytest.mark.parametrize(
    "husk",
    [
        {"audio_url": "http://deleted_by_user", "text": "Deleted by user.", "words": None, "utterances": None},
        {"audio_url": "http://deleted_by_user", "text": None, "status": "error"},
        {"audio_url": None, "text": "Deleted by user.", "words": None},
        {"audio_url": None, "text": None, "words": None, "utterances": None},
        {"text": None, "words": None},
    ],
)
def test_what_is_left_of_a_deleted_transcript_is_no_document(husk: dict[str, object]) -> None:
    reading = wire_transcripts.reading(body(**husk))
    assert reading.deleted
    assert reading.document is None


@pytest.mark.parametrize("alive", [{"text": "", "words": []}, {"text": "Deleted by user.", "words": [WORD]}])
def test_silence_and_the_very_words_spoken_are_not_deleted(alive: dict[str, object]) -> None:
    assert not wire_transcripts.reading(body(**alive)).deleted


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": "../admin"},
        {"status": None},
        {"text": 7},
        {"words": [{"start": 0, "end": 1}]},
        {"words": [{"text": "x", "start": "0", "end": 1}]},
        {"words": [{"text": "x", "start": True, "end": 1}]},
        {"words": [{"text": "x", "start": 0, "end": -1}]},
        {"words": ["x"]},
    ],
)
def test_an_answer_that_makes_no_sense_is_garbled(changes: dict[str, object]) -> None:
    with pytest.raises(Garbled):
        wire_transcripts.reading(body(**changes))


@pytest.mark.parametrize(
    "read",
    [
        wire_transcripts.reading,
        wire_transcripts.submitted,
        wire_transcripts.uploaded,
        wire_transcripts.listed,
        lambda answer: wire_gateway.completion(answer, "m"),
    ],
)
@pytest.mark.parametrize("answer", [b"", b"null", b"[]", b"{", b"<html>", b"{}", b'{"id":', b"\xff"])
def test_what_is_no_answer_is_garbled(read: Any, answer: bytes) -> None:
    with pytest.raises(Garbled):
        read(answer)


@pytest.mark.parametrize(
    ("code", "tag"),
    [("en_us", "en-US"), ("en", "en"), ("pt_BR", "pt-BR"), ("zh_hans_cn", "zh-Hans-CN"), ("es_419", "es-419"),
     ("", None), (None, None), ("not a code", None), ("en_" + "x" * 50, None)],
)  # fmt: skip
def test_language_codes_become_bcp_47(code: str | None, tag: str | None) -> None:
    assert wire_transcripts.language(code) == tag


@pytest.mark.parametrize(
    ("given_", "duration"), [(7.3, 8), (8, 8), (None, None), (-1, None), ("8", None), (True, None)]
)
def test_durations_are_whole_seconds_rounded_up(given_: object, duration: int | None) -> None:
    assert document(audio_duration=given_).duration == duration


def test_a_list_is_read_in_epoch_seconds() -> None:
    items = [
        {"id": "b", "status": "completed", "audio_url": "u", "created": "2026-06-10T15:38:23.500000Z",
         "completed": "2026-06-10T15:38:24.500000+00:00", "error": ""},
        {"id": "a", "status": "error", "audio_url": "v", "created": "2026-06-10T15:38:23", "completed": None},
    ]  # fmt: skip
    late, early = wire_transcripts.listed(json.dumps({"page_details": {}, "transcripts": items}).encode())
    assert (late.id, late.created, late.completed) == ("b", 1781105903.5, 1781105904.5)
    assert (early.state, early.created, early.completed) == (State.ERROR, 1781105903.0, None)


@pytest.mark.parametrize(
    "item",
    [{}, {"id": "a", "created": "yesterday", "status": "queued"}, {"id": "a", "created": "2026-06-10T15:38:23Z"}, 7],
)
def test_a_list_with_an_item_that_cannot_be_placed_is_garbled(item: object) -> None:
    with pytest.raises(Garbled):
        wire_transcripts.listed(json.dumps({"transcripts": [item]}).encode())


@pytest.mark.parametrize("url", [None, "", "ftp://x", "https://" + "x" * 20_000])
def test_an_upload_without_a_url_is_garbled(url: object) -> None:
    with pytest.raises(Garbled):
        wire_transcripts.uploaded(json.dumps({"upload_url": url}).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(COMPLETED)), JSON))
def test_no_transcript_is_read_with_a_foreign_error(changes: dict[str, object]) -> None:
    try:
        wire_transcripts.reading(body(**changes))
    except Garbled:
        return
