"""A deploy never mixes two versions of a pipeline in one result, and a refused submission does not knock twice."""

import pytest

from service.domain.pipeline import digest
from tests.premises import PIPELINES, Premises, eventually, until
from tests.standin import clear_faults, ledger, set_faults, totals

pytestmark = pytest.mark.anyio


async def test_a_job_at_the_vendor_keeps_the_pipeline_that_it_was_submitted_with(premises: Premises) -> None:
    before = premises.loaded.get("calls")
    set_faults(premises.standin, {"on": "submit", "do": "take", "seconds": 2, "times": 1})
    async with premises.serving():
        premises.drop("old.wav", "Dropped before the deploy.")
        await eventually(lambda: len(ledger(premises.standin)["submissions"]) == 1)
    premises.pipelines(PIPELINES.replace("Name the mood.", "Name the tone."))
    after = premises.loaded.get("calls")
    async with premises.serving():
        premises.drop("new.wav", "Dropped after the deploy.")
        events = await premises.heard(2)
    assert before is not None
    assert after is not None
    pinned = {event["data"]["recording"]["key"]: event["data"]["pipeline_digest"] for event in events}
    assert pinned == {"old.wav": digest(before), "new.wav": digest(after)}


async def test_a_refused_submission_is_told_once_though_uploads_go_through(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "submit", "do": "account", "trouble": "key"})
    async with premises.serving() as addresses:
        for number in range(8):
            premises.drop(f"{number}.wav", f"Number {number}.")

        async def parked() -> bool:
            return await premises.metric(addresses, "afterword_parked_jobs") == 8

        await until(parked)
        refused = sum(each["count"] for each in ledger(premises.standin)["refused"] if each["on"] == "submit")
        clear_faults(premises.standin)
        await premises.heard(8)
    assert refused <= 8
    assert totals(premises.standin)["transcripts_billed"] == 8
