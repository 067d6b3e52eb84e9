"""A failed job sent on its way again: every run has its own event and its own result, and pays only for what is new."""

import httpx2
import pytest

from tests.premises import Premises, eventually, until
from tests.standin import ledger, set_faults

pytestmark = pytest.mark.anyio


async def test_a_job_retried_twice_has_three_runs_and_pays_for_no_answer_again(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "ask", "do": "truncate", "match": {"contains": "what is next"}, "times": 2})
    seen: dict[str, bytes] = {}
    async with premises.serving() as addresses, httpx2.AsyncClient(base_url=addresses.ops) as ops:
        premises.drop("north/one.wav", "The kettle leaks.", "We send another one on Friday.")
        for run in (1, 2, 3):
            if run > 1:
                job = f"/api/jobs/{premises.events()[0]['data']['job_id']}"
                await until(lambda job=job: ended(ops, job))
                answer = await ops.post(f"{job}/retry")
                assert answer.is_success, answer.text
                assert answer.json()["run"] == run
            await eventually(lambda run=run: len(premises.events()) >= run)
            for place in premises.files("*.json"):
                seen.setdefault(str(place), place.read_bytes())
    events = premises.events()
    assert [event["data"]["run"] for event in events] == [1, 2, 3]
    assert [event["data"]["outcome"] for event in events] == ["failed", "failed", "complete"]
    assert len({event["id"] for event in events}) == 3
    assert (await premises.rows())["north/one.wav"].status == "published"
    # Whatever a run wrote stands as it was written, byte for byte.
    results = premises.files("result.json")
    assert [place.parent.name for place in results] == [events[0]["data"]["job_id"], "2", "3"]
    assert {str(place): place.read_bytes() for place in premises.files("*.json")} == seen
    # Two prompts once, the one that failed once a run; a transcript once for all runs.
    found = ledger(premises.standin)
    assert found["totals"]["transcripts_billed"] == len(found["submissions"]) == 1
    assert len(found["asks"]) == 2 + 3
    assert [ask["finish_reason"] for ask in found["asks"]].count("max_tokens") == 2


async def test_a_job_that_is_on_its_way_or_done_is_not_retried(premises: Premises) -> None:
    async with premises.serving() as addresses, httpx2.AsyncClient(base_url=addresses.ops) as ops:
        premises.drop("one.wav", "Once is enough.")
        (event,) = await premises.heard(1)
        job = f"/api/jobs/{event['data']['job_id']}"
        await until(lambda: ended(ops, job))
        answer = await ops.post(f"{job}/retry")
        assert answer.is_client_error
    assert len(premises.events()) == 1
    assert len(premises.files("result.json")) == 1


async def ended(ops: httpx2.AsyncClient, job: str) -> bool:
    """The event is out before the row has ended."""
    return (await ops.get(job)).json()["status"] in {"failed", "published"}
