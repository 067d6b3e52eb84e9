"""What the vendor was told to forget can still be asked about."""

import httpx2
import pytest

from service.stages import callback
from tests.premises import PIPELINES, Premises, eventually, until
from tests.standin import KEY, clear_faults, ledger, set_faults, totals

pytestmark = pytest.mark.anyio


async def test_a_retry_after_the_transcript_was_deleted_asks_with_our_own_copy(premises: Premises) -> None:
    premises.pipelines(PIPELINES + "\n[pipelines.outputs]\nkeep_transcript = false\n")
    refusal = {"status": 400, "message": "model X does not support it", "envelope": "handler"}
    set_faults(premises.standin, {"on": "ask", "do": "status", "match": {"contains": "Summarize"}, **refusal})
    async with premises.serving() as addresses:
        premises.drop("one.wav", "The kettle leaks.", "We send another one on Friday.")
        (failed,) = await premises.heard(1)
        assert failed["data"]["outcome"] == "failed"
        await eventually(lambda: ledger(premises.standin)["calls"].get("delete", 0) >= 1)
        clear_faults(premises.standin)
        async with httpx2.AsyncClient() as client:
            path = f"{addresses.ops}/api/jobs/{failed['data']['job_id']}/retry"

            async def retried() -> bool:
                return (await client.post(path)).is_success

            await until(retried)
        _, event = await premises.heard(2)
    assert event["data"]["outcome"] == "complete"
    assert event["data"]["run"] == 2
    assert "kettle" in event["data"]["answers"]["summary"]["content"]
    assert totals(premises.standin)["transcripts_billed"] == 1


async def test_a_transcript_that_went_at_the_vendor_unseen_is_asked_about_within_the_same_run(
    premises: Premises,
) -> None:
    by_turns = 'name = "who"\nrequired = false\nprompt = "Who leads?\\n\\n{{ utterances }}"\n'
    premises.pipelines(PIPELINES + "\n[[pipelines.prompts]]\n" + by_turns)
    # The questions are on their way for long enough that the transcript goes meanwhile.
    set_faults(
        premises.standin,
        {"on": "ask", "do": "finish", "finish_reason": "content_filter", "match": {"contains": "Who leads?"}},
        {"on": "ask", "do": "slow", "seconds": 1.0, "match": {"contains": "{{ transcript }}"}, "times": 2},
    )
    async with (
        premises.serving(),
        httpx2.AsyncClient(base_url=premises.standin, headers={"authorization": KEY}) as vendor,
    ):
        premises.drop("one.wav", "The kettle leaks.", "We send another one on Friday.")
        await eventually(lambda: ledger(premises.standin)["calls"].get("ask") == 3)
        (sent,) = ledger(premises.standin)["submissions"]
        (await vendor.delete(f"/v2/transcript/{sent['transcript_id']}")).raise_for_status()
        (event,) = await premises.heard(1)
    assert (event["data"]["outcome"], event["data"]["run"]) == ("partial", 1)
    assert "kettle" in event["data"]["answers"]["summary"]["content"]
    found = ledger(premises.standin)
    assert [(each["status"], each["count"]) for each in found["refused"]] == [(404, 2)]
    # What was refused without the transcript's help stays refused.
    assert event["data"]["answers"]["who"]["error"]["code"] == "prompt_blocked"
    assert found["totals"]["asks_billed"] == len(found["asks"]) == 3 + 1
    assert found["totals"]["submissions"] == 1


async def test_a_failed_job_whose_transcript_was_deleted_before_it_was_kept_is_transcribed_again(
    premises: Premises, brisk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    premises.pipelines(PIPELINES + "\n[pipelines.outputs]\nkeep_transcript = false\n")
    monkeypatch.setattr(callback, "PATIENCE", 0.2)
    set_faults(premises.standin, {"on": "submit", "do": "take", "seconds": 3.0, "times": 1})
    async with premises.serving() as addresses:
        premises.drop("one.wav", "The kettle leaks.")
        (failed,) = await premises.heard(1)
        assert failed["data"]["error"]["code"] == "transcription_timeout"
        monkeypatch.setattr(callback, "PATIENCE", 60.0)
        async with httpx2.AsyncClient() as client:
            path = f"{addresses.ops}/api/jobs/{failed['data']['job_id']}/retry"

            async def retried() -> bool:
                return (await client.post(path)).is_success

            # Not before the vendor is through with it and has deleted it.
            await until(retried)
        _, event = await premises.heard(2)
    assert event["data"]["outcome"] == "complete"
    assert event["data"]["transcript"]["id"] != failed["data"]["transcript"]["id"]


async def test_a_deletion_that_the_vendor_does_not_carry_out_is_asked_for_until_it_is(
    premises: Premises, brisk: None
) -> None:
    premises.pipelines(PIPELINES + "\n[pipelines.outputs]\nkeep_transcript = false\n")
    refused = {"on": "delete", "do": "status", "status": 400, "times": 1}
    only_said = {"on": "delete", "do": "status", "status": 200, "body": {}, "times": 1}
    set_faults(premises.standin, refused, only_said)
    async with premises.serving():
        premises.drop("one.wav", "The kettle leaks.")
        await premises.heard(1)

        async def ended() -> bool:
            return (await premises.rows())["one.wav"].ended

        await until(ended)
    assert ledger(premises.standin)["calls"]["delete"] == 3
    assert len(premises.events()) == 1
