"""From a dropped file to its event, with nothing going wrong and with each single thing going wrong."""

import json
from pathlib import Path

import pytest

from tests.premises import PIPELINES, Premises, eventually, until
from tests.standin import clear_faults, ledger, set_faults, totals

pytestmark = pytest.mark.anyio


async def test_a_dropped_recording_becomes_one_event_with_all_answers(premises: Premises) -> None:
    async with premises.serving():
        premises.drop("north/one.wav", "The kettle leaks.", "We send another one on Friday.")
        (event,) = await premises.heard(1)
    assert event["type"] == "afterword.recording.analyzed.v1"
    assert event["data"]["outcome"] == "complete"
    assert list(event["data"]["answers"]) == ["summary", "next-steps", "mood"]
    assert event["data"]["recording"]["key"] == "north/one.wav"
    assert event["data"]["transcript"]["language"] == "en-US"
    (result,) = premises.files("result.json")
    stored = json.loads(result.read_bytes())
    assert {name: stored[name] for name in event["data"]} == event["data"]
    spent = totals(premises.standin)
    assert (spent["transcripts_billed"], spent["asks_billed"]) == (1, 3)


async def test_what_was_dropped_while_the_service_was_down_is_found_and_nothing_is_done_twice(
    premises: Premises,
) -> None:
    premises.drop("one.wav", "First.")
    async with premises.serving():
        await premises.heard(1)
    premises.drop("two.wav", "Second.")
    async with premises.serving():
        await premises.heard(2)
    assert len(premises.events()) == 2
    assert totals(premises.standin)["transcripts_billed"] == 2


async def test_without_any_callback_every_job_still_completes_and_the_loss_is_counted(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "webhook", "do": "lose"})
    async with premises.serving() as addresses:
        premises.drop("one.wav", "Nobody will call.")
        (event,) = await premises.heard(1)
        assert await premises.metric(addresses, "afterword_callbacks_lost_total") == 1
    assert event["data"]["outcome"] == "complete"


async def test_without_a_public_url_no_webhook_is_asked_for_and_the_sweeper_looks(tmp_path: Path, standin: str) -> None:
    premises = Premises(tmp_path, standin, callbacks=False)
    async with premises.serving() as addresses:
        premises.drop("one.wav", "Nobody is asked to call.")
        (event,) = await premises.heard(1)
        assert await premises.metric(addresses, "afterword_callbacks_lost_total") == 0
    assert event["data"]["outcome"] == "complete"
    assert ledger(standin)["submissions"][0]["webhook_url"] is None


async def test_an_optional_prompt_that_fails_makes_the_outcome_partial(premises: Premises) -> None:
    refusal = {"status": 400, "message": "model context limit exceeded", "envelope": "handler"}
    set_faults(premises.standin, {"on": "ask", "do": "status", "match": {"contains": "Name the mood"}, **refusal})
    async with premises.serving():
        premises.drop("one.wav", "Some words.")
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "partial"
    assert event["data"]["answers"]["mood"]["error"]["code"] == "prompt_rejected"
    assert "model context limit exceeded" in event["data"]["answers"]["mood"]["error"]["message"]
    assert "content" in event["data"]["answers"]["summary"]


async def test_a_required_prompt_that_fails_fails_the_run_and_what_was_paid_for_is_kept(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "ask", "do": "truncate", "match": {"contains": "what is next"}})
    async with premises.serving():
        premises.drop("one.wav", "Some words.", "And some more of them.")
        (event,) = await premises.heard(1)
    assert event["type"] == "afterword.recording.failed.v1"
    assert event["data"]["error"]["code"] == "prompt_failed"
    assert event["data"]["answers"]["next-steps"]["error"]["code"] == "prompt_truncated"
    assert "content" in event["data"]["answers"]["summary"]
    assert [path.stem for path in premises.files("answers/*.json")] == ["mood", "summary"]


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ({"do": "null_content"}, "prompt_empty", "the model gave no content (end_turn)"),
        ({"do": "say", "content": " \n"}, "prompt_empty", "the model gave no content (end_turn)"),
        ({"do": "finish", "finish_reason": "refusal"}, "prompt_blocked", "the model withheld its answer (refusal)"),
    ],
)
async def test_what_is_no_answer_is_never_published_as_one(
    premises: Premises, fault: dict[str, str], code: str, said: str
) -> None:
    set_faults(premises.standin, {"on": "ask", "match": {"contains": "Name the mood"}, **fault})
    async with premises.serving():
        premises.drop("one.wav", "Some words.")
        (event,) = await premises.heard(1)
    told = event["data"]["answers"]["mood"]
    assert told["error"] == {"code": code, "message": said}
    assert "content" not in told
    assert told["usage"]["requests"] == 1, "it was billed all the same"
    assert [path.stem for path in premises.files("answers/*.json")] == ["next-steps", "summary"]


async def test_a_transcript_without_words_asks_nothing_and_says_so(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "submit", "do": "blank"})
    async with premises.serving():
        premises.drop("one.wav", "This will not be heard.")
        (event,) = await premises.heard(1)
    assert (event["data"]["outcome"], event["data"]["skipped"]) == ("complete", "no_speech")
    assert event["data"]["answers"] == {}
    assert totals(premises.standin)["asks_billed"] == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("language_detection cannot be performed on files with no spoken audio.", "no_speech"),
        ("Transcoding failed. File type application/json", "transcription_failed"),
    ],
)
async def test_the_vendors_error_ends_the_run_as_failed_in_its_own_words(
    premises: Premises, words: str, code: str
) -> None:
    set_faults(premises.standin, {"on": "submit", "do": "fail", "error": words})
    async with premises.serving():
        premises.drop("one.wav", "Anything.")
        (event,) = await premises.heard(1)
    assert event["data"]["error"] == {"code": code, "message": words}
    assert event["data"]["outcome"] == "failed"


async def test_a_transcript_that_the_vendor_failed_by_its_own_fault_is_submitted_again(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "submit", "do": "fail", "times": 1})
    async with premises.serving():
        premises.drop("one.wav", "Second time lucky.")
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"
    assert len(ledger(premises.standin)["submissions"]) == 2
    assert totals(premises.standin)["transcripts_billed"] == 1


async def test_a_submission_whose_answer_was_never_seen_is_adopted_not_repeated(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "submit", "do": "lose_answer", "times": 1}, {"on": "webhook", "do": "lose"})
    async with premises.serving():
        premises.drop("one.wav", "Only once, please.")
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"
    assert len(ledger(premises.standin)["submissions"]) == 1


async def test_a_submission_that_never_arrived_is_made_again_after_the_adoption_window(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "submit", "do": "reset", "times": 1})
    async with premises.serving():
        premises.drop("one.wav", "Nothing was started the first time.")
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"
    assert totals(premises.standin)["transcripts_billed"] == 1


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize("do", [{"do": "status", "status": 503}, {"do": "garble"}, {"do": "reset"}])
async def test_trouble_on_every_kind_of_call_only_costs_time(premises: Premises, do: dict[str, object]) -> None:
    calls = ("upload", "submit", "read", "ask", "list")
    set_faults(premises.standin, *({"on": call, "times": 1, **do} for call in calls))
    async with premises.serving():
        premises.drop("one.wav", "All will be well.")
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"
    assert totals(premises.standin)["paid_twice"]["transcripts"] == 0


async def test_throttling_never_counts_and_never_fails(tmp_path: Path, standin: str) -> None:
    # Whatever counted would be given up at the second refusal.
    premises = Premises(tmp_path, standin, AFTERWORD_GIVE_UP_AFTER="0.5")
    throttled = {"do": "status", "status": 429, "retry_after": 1}
    times = {"upload": 2, "submit": 1, "read": 1, "ask": 2}
    set_faults(standin, *({"on": call, "times": number, **throttled} for call, number in times.items()))
    async with premises.serving():
        premises.drop("one.wav", "Patience.")
        (event,) = await premises.heard(1)
        rows = await premises.rows()
    assert event["data"]["outcome"] == "complete"
    assert rows["one.wav"].facts.get("trouble") is None


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize("trouble", ["key", "balance"])
async def test_the_accounts_trouble_parks_everything_and_it_completes_once_mended(
    premises: Premises, trouble: str
) -> None:
    set_faults(premises.standin, {"on": "any" if trouble == "key" else "submit", "do": "account", "trouble": trouble})
    async with premises.serving() as addresses:
        for number in range(5):
            premises.drop(f"{number}.wav", f"Number {number}.")

        async def parked() -> bool:
            return await premises.metric(addresses, "afterword_parked_jobs") == 5

        await until(parked)
        clear_faults(premises.standin)
        events = await premises.heard(5)
    assert {event["data"]["outcome"] for event in events} == {"complete"}
    assert totals(premises.standin)["transcripts_billed"] == 5


async def test_a_transcript_not_to_be_kept_is_deleted_at_the_vendor_after_the_event(premises: Premises) -> None:
    premises.pipelines(PIPELINES + "\n[pipelines.outputs]\nkeep_transcript = false\n")
    set_faults(premises.standin, {"on": "delete", "do": "status", "status": 500, "times": 1})
    async with premises.serving():
        premises.drop("one.wav", "Forget this.")
        await premises.heard(1)
        await eventually(lambda: ledger(premises.standin)["calls"].get("delete", 0) >= 2)
    assert len(premises.events()) == 1
