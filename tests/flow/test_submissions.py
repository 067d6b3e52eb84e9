"""What a submission may meet: each ends in one transcript, or in a job that says why there is none."""

from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from service.domain import happened
from service.stages import adopt
from tests.longrun.processes import calls
from tests.premises import PIPELINES, Premises, eventually, until
from tests.standin import clear_faults, set_faults, totals

pytestmark = pytest.mark.anyio


async def test_submissions_that_always_break_off_are_given_up_in_the_end(tmp_path: Path, standin: str) -> None:
    premises = Premises(tmp_path, standin, AFTERWORD_ADOPT_WITHIN="0.2", AFTERWORD_GIVE_UP_AFTER="2")
    set_faults(standin, {"on": "submit", "do": "status", "status": 500, "message": "Server error"})
    async with premises.serving():
        premises.drop("one.wav", "This one breaks the vendor.")
        (event,) = await premises.heard(1)
    assert event["data"]["error"]["code"] == "vendor_unavailable"
    assert totals(standin)["transcripts_billed"] == 0


async def test_a_search_that_does_not_reach_back_to_the_submission_pays_for_no_second_one(
    premises: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopt, "PAGES_AT_MOST", 0)
    set_faults(premises.standin, {"on": "submit", "do": "lose_answer", "times": 1}, {"on": "webhook", "do": "lose"})
    async with premises.serving():
        premises.drop("one.wav", "Ten thousand others came after it.")
        (event,) = await premises.heard(1)
    assert event["data"]["error"]["code"] == "submission_in_doubt"
    assert totals(premises.standin)["submissions"] == 1


async def test_an_upload_that_another_key_made_is_made_anew(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "submit", "do": "status", "status": 429, "retry_after": 1, "times": 1})
    async with premises.serving():
        premises.drop("one.wav", "Uploaded under the old key.")
        await eventually(lambda: calls(premises.standin, "submit") == 1)
        foreign = {"status": 403, "message": "Cannot access uploaded file"}
        set_faults(premises.standin, {"on": "submit", "do": "status", **foreign, "times": 1})
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"
    assert calls(premises.standin, "upload") == 2


async def test_an_upload_just_made_and_refused_is_the_end(premises: Premises) -> None:
    refusal = {"status": 403, "message": "Cannot access uploaded file"}
    set_faults(premises.standin, {"on": "submit", "do": "status", **refusal})
    async with premises.serving():
        premises.drop("one.wav", "Never to be read.")
        (event,) = await premises.heard(1)
    assert event["data"]["error"]["code"] == "transcription_rejected"
    assert calls(premises.standin, "upload") == 1


async def test_time_that_the_vendor_asked_for_does_not_count_as_its_trouble(tmp_path: Path, standin: str) -> None:
    premises = Premises(tmp_path, standin, AFTERWORD_GIVE_UP_AFTER="4.5")
    broken = {"on": "upload", "do": "status", "status": 503, "times": 1}
    set_faults(standin, broken, {"on": "upload", "do": "status", "status": 429, "retry_after": 5, "times": 1}, broken)
    async with premises.serving():
        premises.drop("one.wav", "Trouble, then a wait, then trouble again.")
        with capture_logs() as logs:
            (event,) = await premises.heard(1)
    (told,) = [line for line in logs if line["event"] == happened.JOB_WAITING and line.get("operation")]
    assert (told["operation"], told["seconds"]) == ("upload", 5.0)
    assert event["data"]["outcome"] == "complete"


async def test_a_retry_after_refused_captions_goes_on_with_the_transcript_that_was_paid_for(
    premises: Premises,
) -> None:
    premises.pipelines(PIPELINES + '\n[pipelines.outputs]\ncaptions = ["srt"]\n')
    set_faults(premises.standin, {"on": "captions", "do": "status", "status": 422, "message": "No captions today."})
    async with premises.serving() as addresses, httpx2.AsyncClient(base_url=addresses.ops) as ops:
        premises.drop("one.wav", "Paid for already.")
        (failed,) = await premises.heard(1)
        assert failed["data"]["error"]["code"] == "transcription_rejected"
        clear_faults(premises.standin)

        async def retried() -> bool:
            return (await ops.post(f"/api/jobs/{failed['data']['job_id']}/retry")).is_success

        await until(retried)
        _, event = await premises.heard(2)
    assert event["data"]["outcome"] == "complete"
    assert totals(premises.standin)["submissions"] == 1


async def test_a_retried_recording_that_has_grown_meanwhile_ends_its_run_like_any_other(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "upload", "do": "status", "status": 413, "message": "Too large.", "times": 1})
    async with premises.serving() as addresses, httpx2.AsyncClient(base_url=addresses.ops) as ops:
        place = premises.drop("one.wav", "Short.")
        (failed,) = await premises.heard(1)
        job = failed["data"]["job_id"]
        place.write_bytes(place.read_bytes().replace(b"Short.", b"Not so short any more."))

        async def retried() -> bool:
            return (await ops.post(f"/api/jobs/{job}/retry")).is_success

        await until(retried)
        await premises.heard(3)
    runs = {event["data"]["run"]: event["data"] for event in premises.events() if event["data"]["job_id"] == job}
    assert runs[2]["error"]["code"] == "recording_replaced"
