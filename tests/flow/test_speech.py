"""What prompts see of the speech, from the recording to the Gateway; and a language that has to be told."""

import json
from typing import Any

import httpx2
import pytest

from tests.premises import Premises, until
from tests.standin import clear_faults, ledger, set_faults, totals

pytestmark = pytest.mark.anyio

SAID = ("Good morning.", "Hello. My kettle leaks. It is new. It was a gift. It hums. It leaks.", "We send one.")
PIPELINE = """
[[pipelines]]
name = "calls"
match = ["**/*.wav"]

[[pipelines.prompts]]
name = "summary"
model = "claude-sonnet-4-6"
prompt = "Summarize:\\n\\n{}"

[pipelines.transcript]
{}
"""
IDENTIFIES = """speaker_labels = true
speech_understanding.request.speaker_identification = { speaker_type = "role", known_values = ["Agent", "Caller"] }
"""
UNHEARD = "language_detection cannot be performed on files with no spoken audio."
UNSURE = "Detected language 'sk', confidence 0.3, is below the requested confidence threshold value of '0.7'"


def seen(premises: Premises, *texts: str) -> None:
    """From now on the Gateway answers `seen` to whatever holds this text, line by line."""
    inside = json.dumps("\n".join(texts), ensure_ascii=False)[1:-1]
    set_faults(premises.standin, {"on": "ask", "do": "say", "content": "seen", "match": {"contains": inside}})


async def told(premises: Premises) -> dict[str, Any]:
    """The data of the one event of a recording that is dropped."""
    async with premises.serving():
        premises.drop("one.wav", *SAID)
        (event,) = await premises.heard(1)
    data: dict[str, Any] = event["data"]
    return data


@pytest.mark.parametrize(
    ("options", "speech", "lines"),
    [
        ("speaker_labels = true", "", ["Speaker A: Good morning.", "Speaker B: Hello. My kettle"]),
        (
            "speaker_labels = true",
            "timestamps = true",
            ["[00:00:00] Speaker A: Good morning.", "[00:00:01] Speaker B:"],
        ),
        ("multichannel = true", "", ["Channel 1: Good morning.", "Channel 2: Hello."]),
        ("multichannel = true", "speakers = { 2 = 'Caller' }", ["Channel 1: Good morning.", "Caller: Hello."]),
        (IDENTIFIES, "", ["Agent: Good morning.", "Caller: Hello."]),
        (IDENTIFIES, "speakers = { A = 'Martin' }", ["Martin: Good morning.", "Caller: Hello."]),
    ],
)
async def test_the_gateway_is_given_each_turn_with_its_speaker(
    premises: Premises, options: str, speech: str, lines: list[str]
) -> None:
    premises.pipelines(PIPELINE.format("{{ utterances }}", options) + f"\n[pipelines.speech]\n{speech}\n")
    seen(premises, *lines)
    data = await told(premises)
    assert data["answers"]["summary"]["content"] == "seen"


async def test_paragraphs_are_the_vendors_and_outlive_its_copy(premises: Premises) -> None:
    premises.pipelines(PIPELINE.format("{{ paragraphs }}", "") + "\n[pipelines.outputs]\nkeep_transcript = false\n")
    refusal = {"status": 400, "message": "model X does not support it", "envelope": "handler"}
    set_faults(premises.standin, {"on": "ask", "do": "status", **refusal})
    first, second = "Good morning. Hello. My kettle leaks. It is new.", "It was a gift. It hums. It leaks. We send one."
    async with premises.serving() as addresses:
        premises.drop("one.wav", *SAID)
        (failed,) = await premises.heard(1)
        assert failed["data"]["outcome"] == "failed"
        (kept,) = premises.files("paragraphs.json")
        assert [each["text"] for each in json.loads(kept.read_bytes())["paragraphs"]] == [first, second]
        clear_faults(premises.standin)
        seen(premises, first, "", second)
        async with httpx2.AsyncClient() as client:
            path = f"{addresses.ops}/api/jobs/{failed['data']['job_id']}/retry"

            async def retried() -> bool:
                return (await client.post(path)).is_success

            await until(retried)
        _, event = await premises.heard(2)
    assert event["data"]["answers"]["summary"]["content"] == "seen"
    assert ledger(premises.standin)["calls"]["captions"] == 1
    assert totals(premises.standin)["transcripts_billed"] == 1


@pytest.mark.parametrize("trouble", [{"status": 400, "message": "no paragraphs"}, {"status": 404, "message": "gone"}])
async def test_where_the_vendor_has_no_paragraphs_they_are_ours(premises: Premises, trouble: dict[str, object]) -> None:
    premises.pipelines(PIPELINE.format("{{ paragraphs }}", ""))
    set_faults(premises.standin, {"on": "captions", "do": "status", **trouble})
    seen(premises, "Good morning. Hello. My kettle leaks. It is new. It was a gift.", "", "It hums. It leaks. We send")
    assert (await told(premises))["answers"]["summary"]["content"] == "seen"


async def test_paragraphs_are_not_asked_for_where_no_prompt_uses_them(premises: Premises) -> None:
    premises.pipelines(PIPELINE.format("{{ transcript }}", ""))
    await told(premises)
    assert premises.files("paragraphs.json") == []
    assert "captions" not in ledger(premises.standin)["calls"]


async def test_inline_speech_understanding_is_kept_in_the_transcript(premises: Premises) -> None:
    understanding = "speech_understanding.request.translation = { target_languages = ['de'] }\n"
    premises.pipelines(PIPELINE.format("{{ transcript }}", understanding))
    await told(premises)
    (kept,) = premises.files("transcript.json")
    document = json.loads(kept.read_bytes())
    assert document["speech_understanding"]["response"] == {"translation": {"status": "success"}}
    assert document["translated_texts"]["de"].startswith("[de] Good morning.")


FALLS_BACK = PIPELINE.format("{{ transcript }}", "language_detection = true\nlanguage_confidence_threshold = 0.7")


@pytest.mark.parametrize("words", [UNHEARD, UNSURE])
async def test_a_language_that_cannot_be_detected_is_told_once(premises: Premises, words: str) -> None:
    premises.pipelines(FALLS_BACK + "\n[pipelines.speech]\nfallback_language = 'sk'\n")
    set_faults(premises.standin, {"on": "submit", "do": "fail", "error": words, "times": 1})
    data = await told(premises)
    assert (data["outcome"], data["transcript"]["language"]) == ("complete", "sk")
    first, second = ledger(premises.standin)["submissions"]
    assert (first["status"], second["status"]) == ("error", "completed")
    assert second["transcript_id"] == data["transcript"]["id"]
    assert totals(premises.standin)["transcripts_billed"] == 1


@pytest.mark.parametrize(("words", "code"), [(UNHEARD, "no_speech"), (UNSURE, "transcription_failed")])
async def test_a_language_that_does_not_help_either_is_the_end(premises: Premises, words: str, code: str) -> None:
    premises.pipelines(FALLS_BACK + "\n[pipelines.speech]\nfallback_language = 'sk'\n")
    set_faults(premises.standin, {"on": "submit", "do": "fail", "error": words})
    data = await told(premises)
    assert data["error"] == {"code": code, "message": words}
    assert len(ledger(premises.standin)["submissions"]) == 2


async def test_what_the_vendor_failed_before_the_fallback_is_forgotten_too(premises: Premises) -> None:
    forgets = "\n[pipelines.speech]\nfallback_language = 'sk'\n[pipelines.outputs]\nkeep_transcript = false\n"
    premises.pipelines(FALLS_BACK + forgets)
    set_faults(premises.standin, {"on": "submit", "do": "fail", "error": UNHEARD})
    async with premises.serving():
        premises.drop("one.wav", *SAID)
        await premises.heard(1)

        async def ended() -> bool:
            return (await premises.rows())["one.wav"].ended

        await until(ended)
    assert ledger(premises.standin)["calls"]["delete"] == 2
