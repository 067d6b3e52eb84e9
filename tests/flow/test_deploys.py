"""A deploy never mixes two versions of a pipeline in one result, and a refused submission does not knock twice."""

import pytest
from structlog.testing import capture_logs

from service.domain.happened import ACCOUNT_PARKED, ACCOUNT_RESUMED
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


@pytest.mark.usefixtures("brisk")
async def test_a_refused_submission_is_told_once_though_uploads_go_through(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "submit", "do": "account", "trouble": "key"})
    with capture_logs() as lines:
        async with premises.serving() as addresses:

            async def parked(count: int) -> bool:
                return await premises.metric(addresses, "afterword_parked_jobs") == count

            premises.drop("0.wav", "Number 0.")
            await until(lambda: parked(1))
            for number in range(1, 8):
                premises.drop(f"{number}.wav", f"Number {number}.")
            await eventually(lambda: len(ledger(premises.standin)["uploads"]) == 8)
            # The first try of a gate that is shut: an upload that goes through must not be taken for a mended account.
            await eventually(lambda: refused(premises) >= 2)
            clear_faults(premises.standin)
            await premises.heard(8)
    told = [line["event"] for line in lines if line["event"] in {ACCOUNT_PARKED, ACCOUNT_RESUMED}]
    assert told == [ACCOUNT_PARKED, ACCOUNT_RESUMED]
    assert totals(premises.standin)["transcripts_billed"] == 8


def refused(premises: Premises) -> int:
    """How many submissions were."""
    return sum(each["count"] for each in ledger(premises.standin)["refused"] if each["on"] == "submit")
