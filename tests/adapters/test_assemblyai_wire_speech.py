"""What is believed of inline speech understanding, and that nothing unredacted is ever read."""

import json
from typing import Any

import pytest

from service.adapters.assemblyai import wire_speech, wire_transcripts
from service.domain.results import transcript_json
from service.domain.transcript import Document, stored_transcript

ASKED = {
    "translation": {"target_languages": ["de"]},
    "speaker_identification": {"speaker_type": "role", "known_values": ["Agent"], "speakers": [{"name": "Ann"}]},
    "summarization": {"summary_type": "paragraph"},
}
FOUND = {
    "translation": {"status": "success"},
    "speaker_identification": {"status": "success", "mapping": {"A": "Agent", "B": "Zebedee"}},
    "summarization": {"status": "success", "summary": [{"text": "Zebedee called."}]},
}


def document(**changes: Any) -> Document:
    turns = [
        {
            "speaker": "Agent",
            "text": "Hello",
            "start": 0,
            "end": 9,
            "confidence": 1,
            "translated_texts": {"de": "Hallo"},
        },
        {"speaker": "Zebedee", "text": "Hi", "start": 10, "end": 19, "confidence": 1, "translated_texts": {"de": "He"}},
    ]
    words = [{"text": "Hi", "start": 10, "end": 19, "confidence": 1, "speaker": "Zebedee"}]
    told = {
        "id": "t-1",
        "status": "completed",
        "text": "Hello Hi",
        "words": words,
        "utterances": turns,
        "speech_understanding": {"request": ASKED, "response": FOUND},
        "translated_texts": {"de": "Hallo He", "fr": 7},
    }
    found = wire_transcripts.reading(json.dumps(told | changes).encode()).document
    assert found is not None
    return found


def kept(found: Document) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(transcript_json(found))
    assert stored_transcript(transcript_json(found)) == found
    return told


def test_what_was_asked_inline_is_kept_as_the_vendor_gives_it() -> None:
    told = kept(document())
    assert told["speech_understanding"] == {"request": ASKED, "response": FOUND}
    assert told["translated_texts"] == {"de": "Hallo He"}
    assert [each["translated_texts"] for each in told["utterances"]] == [{"de": "Hallo"}, {"de": "He"}]
    assert [each["speaker"] for each in told["utterances"]] == ["Agent", "Zebedee"]


@pytest.mark.parametrize("nothing", [None, {}, {"request": None}, {"response": FOUND}, "?"])
def test_what_was_not_asked_for_is_not_kept(nothing: object) -> None:
    told = kept(document(speech_understanding=nothing))
    assert set(told) == {"text", "words", "utterances", "confidence", "language", "duration"}
    assert all("translated_texts" not in each for each in told["utterances"])


def test_of_a_redacted_transcript_only_what_the_request_itself_said_is_kept() -> None:
    told = kept(document(redact_pii=True))
    identified = {"speaker_identification": {"mapping": {"A": "Agent"}}}
    assert told["speech_understanding"] == {"request": ASKED, "response": identified}
    assert [each["speaker"] for each in told["utterances"]] == ["Agent", "B"]
    assert told["words"][0]["speaker"] == "B"
    assert "translated_texts" not in told
    assert "Zebedee" not in json.dumps(told)


def test_a_name_in_a_redacted_transcript_that_nothing_explains_is_not_told() -> None:
    found = {"speaker_identification": {"mapping": {"Zebedee": "Zebedee"}}}
    told = kept(document(redact_pii=True, speech_understanding={"request": ASKED, "response": found}))
    assert [each["speaker"] for each in told["utterances"]] == ["Agent", wire_speech.NOBODY]
    assert "Zebedee" not in json.dumps(told)


def test_unredacted_words_are_never_read() -> None:
    turn = {"speaker": "A", "text": "Zanzibar", "start": 0, "end": 9, "confidence": 1}
    secret = {"unredacted_text": "Zanzibar", "unredacted_words": [turn], "unredacted_utterances": [turn]}
    secret |= {"entities": [{"text": "Zanzibar"}], "sentiment_analysis_results": [{"text": "Zanzibar"}]}
    assert "Zanzibar" not in json.dumps(kept(document(redact_pii=True, **secret)))
    assert "Zanzibar" not in json.dumps(kept(document(**secret)))


def test_too_much_is_left_out_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: Any = {}
    for _ in range(100):
        deep = {"a": deep}
    assert kept(document(speech_understanding={"request": ASKED, "response": deep}))["speech_understanding"] == {
        "omitted": True
    }
    monkeypatch.setattr(wire_speech, "MOST", 100)
    told = kept(document(translated_texts={"de": "x" * 101}))
    assert told["speech_understanding"] == {"omitted": True}
    assert "translated_texts" not in told
