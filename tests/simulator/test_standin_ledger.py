"""The ledger's arithmetic: tests count spend by it, so it has to add up."""

import httpx2

from tests.simulator.conftest import Vendor, until
from tests.standin import ledger, script, set_faults, totals


def test_seconds_are_rounded_up_and_errors_cost_nothing(vendor: Vendor, url: str) -> None:
    vendor.transcribe(script("One.", duration=7.3))
    vendor.transcribe(script("Two.", duration=2.0))
    set_faults(url, {"do": "fail"})
    vendor.transcribe(script("Three.", duration=100.0))
    found = ledger(url)
    assert [entry["billed_seconds"] for entry in found["submissions"]] == [8, 2, 0]
    assert [entry["status"] for entry in found["submissions"]] == ["completed", "completed", "error"]
    assert (found["totals"]["audio_seconds"], found["totals"]["transcripts_billed"]) == (10, 2)
    assert found["totals"]["recordings"] == 3


def test_the_same_bytes_billed_twice_are_paid_twice_wherever_they_came_from(vendor: Vendor, url: str) -> None:
    audio = script("The same.")
    vendor.transcribe(audio)
    vendor.transcribe(script("Another."))
    assert totals(url)["paid_twice"]["transcripts"] == 0
    vendor.transcribe(audio)
    vendor.transcribe(audio)
    assert totals(url)["paid_twice"]["transcripts"] == 1
    assert totals(url)["recordings"] == 2
    assert len(ledger(url)["uploads"]) == 4


def test_the_same_rendered_prompt_billed_twice_is_paid_twice(vendor: Vendor, url: str) -> None:
    one = vendor.transcribe(script("First call."))["id"]
    two = vendor.transcribe(script("Second call."))["id"]
    for transcript_id in (one, two):
        vendor.ask(prompt="Sum up: {{ transcript }}", transcript_id=transcript_id)
    vendor.ask(model="gpt-5", prompt="Sum up: {{ transcript }}", transcript_id=one)
    assert totals(url)["paid_twice"]["answers"] == 0
    vendor.ask(prompt="Sum up: {{ transcript }}", transcript_id=one)
    found = ledger(url)
    assert found["totals"]["paid_twice"]["answers"] == 1
    assert found["totals"]["asks_billed"] == 4
    assert found["totals"]["tokens"]["input"] == sum(entry["input_tokens"] for entry in found["asks"])
    assert found["totals"]["tokens"]["output"] == sum(entry["output_tokens"] for entry in found["asks"])
    assert {entry["transcript_id"] for entry in found["asks"]} == {one, two}


def test_refusals_are_counted_by_call_status_and_cause_and_cost_nothing(vendor: Vendor, url: str) -> None:
    for _ in range(3):
        vendor.ask(model="nobody", prompt="Hi")
    httpx2.get(f"{url}/v2/transcript")
    counted = {(entry["on"], entry["status"], entry["cause"]): entry["count"] for entry in ledger(url)["refused"]}
    assert counted == {("ask", 400, "rule"): 3, ("list", 401, "rule"): 1}
    assert totals(url)["refused"] == 4
    assert totals(url)["asks_billed"] == 0


def test_polls_are_counted(vendor: Vendor, url: str) -> None:
    transcript_id = vendor.submit(script("Hi."))
    for _ in range(3):
        vendor.read(transcript_id)
    vendor.http.get("/v2/transcript")
    calls = ledger(url)["calls"]
    assert (calls["read"], calls["list"], calls["upload"], calls["submit"]) == (3, 1, 1, 1)


def test_a_webhook_that_nobody_takes_is_counted_as_lost_with_every_attempt(vendor: Vendor, url: str) -> None:
    transcript_id = vendor.submit(script("Hi."), webhook_url="http://127.0.0.1:9/callbacks/1")
    until(lambda: totals(url)["callbacks"]["lost"] == 1)
    deliveries = ledger(url)["deliveries"]
    assert [entry["attempt"] for entry in deliveries] == [*range(1, 11), 0]
    assert {entry["transcript_id"] for entry in deliveries} == {transcript_id}
    assert deliveries[0]["error"] == "ConnectError"
    assert deliveries[-1]["error"] == "given up after attempt 10"
