"""The documents that a run leaves behind."""

import json

import pytest

from service.domain.asking.answers import Answer, stored_answer
from service.domain.errors import Unavailable
from service.domain.job import Failure, Job, Outcome, Status
from service.domain.results import result_json, stored_result, transcript_json, transcript_txt
from service.domain.transcript import Document, Utterance, Word
from tests.unit.event_samples import (
    NEXT_STEPS,
    RECORDING,
    SUMMARY,
    TRANSCRIPT,
    TRIAGE,
    TRUNCATED,
    UNREADABLE,
    files,
    job,
    result_of,
    verdict,
)

ENDED = job(verdict(Outcome.COMPLETE))
WORDS = (
    Word(text="Größe?", start=120, end=480, confidence=0.98, speaker="A"),
    Word(text="Ja.", start=500, end=610, confidence=0.5, channel="2"),
)
DOCUMENT = Document(text="Größe? Ja.", words=WORDS, utterances=None, confidence=0.91, language="de", duration=3)


def read(ended: Job, answers: dict[str, Answer | Failure]) -> dict[str, object]:
    document: dict[str, object] = json.loads(result_of(ended, answers))
    return document


def test_a_transcript_tells_six_things_and_nothing_else_of_the_vendors() -> None:
    assert json.loads(transcript_json(DOCUMENT)) == {
        "text": "Größe? Ja.",
        "words": [
            {"text": "Größe?", "start": 120, "end": 480, "confidence": 0.98, "speaker": "A"},
            {"text": "Ja.", "start": 500, "end": 610, "confidence": 0.5, "speaker": None, "channel": "2"},
        ],
        "utterances": None,
        "confidence": 0.91,
        "language": "de",
        "duration": 3,
    }
    assert "Größe".encode() in transcript_json(DOCUMENT)


def test_a_transcript_tells_who_spoke_when() -> None:
    turn = Utterance(speaker="A", text="Größe?", start=120, end=480, confidence=0.98)
    told = json.loads(transcript_json(DOCUMENT.model_copy(update={"utterances": (turn,)})))
    assert told["utterances"] == [{"speaker": "A", "text": "Größe?", "start": 120, "end": 480, "confidence": 0.98}]


def test_the_text_is_kept_as_it_is() -> None:
    assert transcript_txt(DOCUMENT) == "Größe? Ja.".encode()


def test_an_answer_comes_back_as_it_was_stored() -> None:
    assert stored_answer(SUMMARY.to_bytes(), "a") == SUMMARY
    assert "parcel (Größe M) was lost".encode() in SUMMARY.to_bytes()


def test_an_answer_that_a_newer_replica_stored_can_be_read() -> None:
    newer = json.dumps(json.loads(SUMMARY.to_bytes()) | {"mood": {"sentiment": "good"}}).encode()
    assert stored_answer(newer, "a") == SUMMARY


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"content": "x"}', b"\xff"])
def test_what_is_no_answer_is_told_by_its_key_and_not_by_its_content(body: bytes) -> None:
    with pytest.raises(Unavailable) as told:
        stored_answer(body, "calls/a/answers/summary.json")
    assert str(told.value) == (
        "calls/a/answers/summary.json among the results is not an answer of ours; restore or remove it"
    )


def test_a_result_says_what_was_asked_of_which_recording_and_how_it_ended() -> None:
    result = read(ENDED, {"summary": SUMMARY, "next-steps": NEXT_STEPS})
    assert list(result) == [
        *("job_id", "run", "pipeline", "pipeline_digest", "outcome", "recording", "transcript", "answers", "files"),
        *("deployment", "usage", "timings", "request_ids"),
    ]
    assert (result["job_id"], result["run"], result["outcome"]) == (ENDED.id, 1, "complete")
    assert (result["pipeline"], result["pipeline_digest"]) == ("support-calls", "7f" * 32)
    assert result["recording"] == {
        "uri": "file:///srv/inbox/calls/2026-03-02%20M%C3%BCller.mp3",
        "key": "calls/2026-03-02 Müller.mp3",
        "name": "2026-03-02 Müller.mp3",
        "size": 481280,
        "version": None,
        "dropped_at": "2026-03-02T09:15:00.250Z",
        "metadata": {"agent": "17"},
    }
    assert result["transcript"] == {"id": TRANSCRIPT.id, "language": "en-US", "duration": 94}
    assert result["files"] == files(ENDED)


def test_where_the_sound_lies_stays_inside() -> None:
    secret = RECORDING.model_copy(update={"location": "https://u:pw@h/a?X-Amz-Signature=secret", "digest": "99" * 32})
    body = result_of(ENDED.model_copy(update={"recording": secret}), {})
    assert b"secret" not in body
    assert b"99" * 32 not in body


def test_answers_stand_in_the_order_of_the_pipeline_each_with_its_model_and_usage() -> None:
    answers = json.loads(result_of(ENDED, {"next-steps": NEXT_STEPS, "summary": SUMMARY}))["answers"]
    assert list(answers) == ["next-steps", "summary"]
    assert answers["summary"] == {
        "content": SUMMARY.content,
        "model": "claude-sonnet-4-6",
        "usage": SUMMARY.usage.told(),
    }


def test_a_structured_answer_is_told_parsed_in_place_of_its_text() -> None:
    answers = json.loads(result_of(ENDED, {"summary": SUMMARY, "triage": TRIAGE}))["answers"]
    assert answers["triage"] == {
        "value": {"sentiment": "negative", "topics": ["lost parcel", "refund"], "customer": {"tier": "gold"}},
        "model": "claude-sonnet-4-6",
        "usage": TRIAGE.usage.told(),
    }
    assert "value" not in answers["summary"]
    stored = json.loads(TRIAGE.to_bytes())
    assert (json.loads(stored["content"]), stored["value"]) == (TRIAGE.value, TRIAGE.value)


def test_a_failed_prompt_has_an_error_and_no_content() -> None:
    answers = json.loads(result_of(ENDED, {"coaching": TRUNCATED}))["answers"]
    assert answers["coaching"] == {"error": {"code": "prompt_truncated", "message": TRUNCATED.message}}


def test_usage_is_the_sum_of_the_answers() -> None:
    result = read(ENDED, {"summary": SUMMARY, "coaching": TRUNCATED, "next-steps": NEXT_STEPS})
    told = result["usage"]
    assert (told["input_tokens"], told["output_tokens"], told["total_tokens"]) == (840, 32, 872)


def test_the_vendors_request_ids_are_kept_of_answers_and_failures_alike() -> None:
    unnumbered = NEXT_STEPS.model_copy(update={"request_id": None})
    result = read(ENDED, {"summary": SUMMARY, "coaching": TRUNCATED, "next-steps": unnumbered})
    assert result["request_ids"] == {"summary": SUMMARY.request_id, "coaching": TRUNCATED.request_id}


def test_timings_are_those_of_the_transcript_and_of_the_verdict() -> None:
    assert read(ENDED, {})["timings"] == {
        "dropped_at": "2026-03-02T09:15:00.250Z",
        "submitted_at": "2026-03-02T09:15:01.000Z",
        "transcribed_at": "2026-03-02T09:16:02.125Z",
        "decided_at": "2026-03-02T09:16:13.000Z",
    }
    never = ENDED.model_copy(update={"submitted_at": None, "timeline": ENDED.timeline[:1]})
    timings = json.loads(result_of(never, {}))["timings"]
    assert (timings["submitted_at"], timings["transcribed_at"]) == (None, None)


def test_a_failed_job_has_a_result_too() -> None:
    result = read(job(verdict(Outcome.FAILED, UNREADABLE), transcript=None), {})
    assert result["outcome"] == "failed"
    assert result["error"] == {"code": "transcription_failed", "message": "Audio duration is too short."}
    assert result["transcript"] is None
    assert result["files"] == {"result": files(ENDED)["result"]}


def test_a_recording_without_words_says_why_nothing_was_asked() -> None:
    result = read(job(verdict(Outcome.COMPLETE, skipped="no_speech")), {})
    assert (result["outcome"], result["skipped"], result["answers"]) == ("complete", "no_speech", {})
    assert "error" not in result


def test_without_a_verdict_there_is_no_result() -> None:
    undecided = ENDED.model_copy(update={"verdict": None})
    assert undecided.timeline[1].status is Status.TRANSCRIBED
    with pytest.raises(ValueError, match="no verdict yet"):
        result_json("afterword", undecided, {}, {})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"{}", b'{"job_id": "x"}', b"\xff"])
def test_what_is_no_result_is_told_by_its_key_and_not_by_its_content(body: bytes) -> None:
    with pytest.raises(Unavailable, match=r"^calls/a/result\.json among the results is not a result of ours"):
        stored_result(body, "calls/a/result.json")
