"""Webhooks by the vendor's rules, and what the fault dial makes of them."""

import itertools
from typing import Any

import pytest

from service.simulator.options import Options
from tests.simulator.conftest import Receiver, Vendor, listening, until, vendor_at
from tests.standin import KEY, ledger, reset, running, script, set_faults, totals

HEADER = {"webhook_auth_header_name": "X-Afterword-Token", "webhook_auth_header_value": "t" * 64}


def submit(vendor: Vendor, receiver: Receiver, path: str = "/callbacks/job-1", **more: Any) -> str:
    return vendor.submit(script("Hello."), webhook_url=receiver.url + path, **HEADER, **more)


def test_a_2xx_ends_it_and_its_code_is_on_the_transcript(vendor: Vendor, receiver: Receiver, url: str) -> None:
    receiver.statuses = [202]
    transcript_id = submit(vendor, receiver)
    until(lambda: vendor.read(transcript_id)["webhook_status_code"] == 202)
    found = vendor.read(transcript_id)
    assert found["webhook_auth"] is True
    assert found["webhook_auth_header_value"] is None
    names = ("delivered", "lost", "duplicated", "forged", "forged_refused", "forged_accepted", "attempts")
    assert totals(url)["callbacks"] == dict(zip(names, (1, 0, 0, 0, 0, 0, 1), strict=True))
    assert receiver.came[0].headers["content-type"] == "application/json"


def test_a_failed_job_is_told_without_its_error(vendor: Vendor, receiver: Receiver, url: str) -> None:
    set_faults(url, {"do": "fail"})
    transcript_id = submit(vendor, receiver)
    assert receiver.wait(1)[0].body == {"transcript_id": transcript_id, "status": "error"}


def test_a_5xx_is_tried_ten_times_with_the_gap_between_and_then_lost(receiver: Receiver) -> None:
    receiver.statuses = [503]
    with running(Options(api_key=KEY, queue_seconds=0, process_seconds=0, webhook_gap_seconds=0.04)) as url:
        vendor = vendor_at(url)
        transcript_id = submit(vendor, receiver)
        until(lambda: totals(url)["callbacks"]["lost"] == 1)
        attempts = [entry["attempt"] for entry in ledger(url)["deliveries"] if not entry["lost"]]
        assert attempts == list(range(1, 11))
        times = [callback.at for callback in receiver.came]
        assert len(times) == 10
        assert all(after - before >= 0.035 for before, after in itertools.pairwise(times))
        assert vendor.read(transcript_id)["webhook_status_code"] == 503
        vendor.http.close()


@pytest.mark.parametrize("status", [400, 401, 404, 429])
def test_any_4xx_is_final(vendor: Vendor, receiver: Receiver, url: str, status: int) -> None:
    receiver.statuses = [status]
    submit(vendor, receiver)
    until(lambda: totals(url)["callbacks"]["lost"] == 1)
    assert totals(url)["callbacks"]["attempts"] == 1


def test_a_redirect_is_not_followed_but_tried_again(vendor: Vendor, receiver: Receiver) -> None:
    receiver.statuses = [302, 204]
    submit(vendor, receiver)
    assert [callback.path for callback in receiver.wait(2)] == ["/callbacks/job-1"] * 2


def test_a_receiver_that_is_down_or_too_slow_is_tried_again() -> None:
    receiver = Receiver(delay=0.3)
    options = Options(
        api_key=KEY,
        queue_seconds=0,
        process_seconds=0,
        webhook_gap_seconds=0.01,
        webhook_timeout_seconds=0.1,
        webhook_attempts=2,
    )
    with listening(receiver, {}), running(options) as url:
        vendor = vendor_at(url)
        submit(vendor, receiver)
        vendor.submit(script("Hi."), webhook_url="http://127.0.0.1:9/callbacks/2")
        until(lambda: totals(url)["callbacks"]["lost"] == 2)
        assert {entry["error"] for entry in ledger(url)["deliveries"] if not entry["lost"]} <= {
            "TimeoutError", "ReadTimeout", "ConnectError",
        }  # fmt: skip
        vendor.http.close()


def test_redacted_audio_is_told_of_too_without_an_id(vendor: Vendor, receiver: Receiver) -> None:
    transcript_id = submit(vendor, receiver, redact_pii=True, redact_pii_audio=True)
    second = receiver.wait(2)[1]
    assert second.body["status"] == "redacted_audio_ready"
    assert set(second.body) == {"status", "redacted_audio_url"}
    assert transcript_id in second.body["redacted_audio_url"]
    assert second.headers["x-afterword-token"] == HEADER["webhook_auth_header_value"]


def test_a_lost_one_never_arrives(vendor: Vendor, receiver: Receiver, url: str) -> None:
    set_faults(url, {"do": "lose", "match": {"job": "job-lost"}, "times": 1})
    submit(vendor, receiver, "/callbacks/job-lost")
    submit(vendor, receiver, "/callbacks/job-kept")
    assert receiver.wait(1)[0].path == "/callbacks/job-kept"
    until(lambda: totals(url)["callbacks"]["lost"] == 1)
    assert len(receiver.came) == 1


def test_duplicates_are_the_same_to_the_byte(vendor: Vendor, receiver: Receiver, url: str) -> None:
    set_faults(url, {"do": "duplicate", "n": 2, "gap": 0.01})
    submit(vendor, receiver)
    came = receiver.wait(3)
    assert came[0].body == came[1].body == came[2].body
    until(lambda: totals(url)["callbacks"]["duplicated"] == 2)
    assert totals(url)["callbacks"]["delivered"] == 1


def test_a_delay_puts_them_out_of_order(vendor: Vendor, receiver: Receiver, url: str) -> None:
    set_faults(url, {"do": "delay", "seconds": 0.3, "times": 1}, {"do": "delay", "from": 0.0, "to": 0.01})
    first = vendor.transcribe(script("One."), webhook_url=f"{receiver.url}/1", **HEADER)["id"]
    second = vendor.transcribe(script("Two."), webhook_url=f"{receiver.url}/2", **HEADER)["id"]
    assert [callback.body["transcript_id"] for callback in receiver.wait(2)] == [second, first]


def test_a_forged_one_has_the_wrong_secret_and_comes_beside_the_genuine(
    vendor: Vendor, receiver: Receiver, url: str
) -> None:
    set_faults(url, {"do": "forge", "times": 1})
    receiver.statuses = [401, 204]
    submit(vendor, receiver)
    tokens = sorted(callback.headers["x-afterword-token"] == "t" * 64 for callback in receiver.wait(2))
    assert tokens == [False, True]
    until(lambda: totals(url)["callbacks"]["forged"] == 1)
    flags = [(entry["forged"], entry["duplicate"]) for entry in ledger(url)["deliveries"]]
    assert (True, False) in flags


def test_forgeries_take_other_shapes(vendor: Vendor, receiver: Receiver, url: str) -> None:
    set_faults(
        url,
        {"do": "forge", "times": 1, "header": "right", "path": "unknown", "transcript": "unknown", "instead": True},
    )
    transcript_id = submit(vendor, receiver)
    forged = receiver.wait(1)[0]
    assert forged.headers["x-afterword-token"] == "t" * 64
    assert forged.path.startswith("/callbacks/")
    assert forged.path != "/callbacks/job-1"
    assert forged.body["transcript_id"] != transcript_id
    set_faults(url, {"do": "forge", "times": 1, "header": "missing", "body": '{"x": 1}', "instead": True})
    submit(vendor, receiver)
    bare = receiver.wait(2)[1]
    assert "x-afterword-token" not in bare.headers
    assert bare.body == {"x": 1}
    assert totals(url)["callbacks"]["lost"] == 2


def test_a_word_that_is_no_status(vendor: Vendor, receiver: Receiver, url: str) -> None:
    set_faults(url, {"do": "status_word", "word": "finished"})
    submit(vendor, receiver)
    assert receiver.wait(1)[0].body["status"] == "finished"


def test_the_secret_is_echoed_only_where_the_dial_says_so(vendor: Vendor, receiver: Receiver, url: str) -> None:
    set_faults(url, {"do": "echo_secret", "times": 1})
    assert vendor.read(submit(vendor, receiver))["webhook_auth_header_value"] == "t" * 64
    assert vendor.read(submit(vendor, receiver))["webhook_auth_header_value"] is None


def test_a_reset_forgets_webhooks_that_are_on_their_way(vendor: Vendor, receiver: Receiver, url: str) -> None:
    receiver.delay = 0.2
    submit(vendor, receiver)
    until(lambda: ledger(url)["submissions"][0]["status"] == "completed")
    reset(url)
    receiver.wait(1)
    assert vendor.transcribe(script("Next."))["status"] == "completed"
    assert ledger(url)["deliveries"] == []


def test_a_header_that_cannot_be_sent_is_an_attempt_that_failed(vendor: Vendor, receiver: Receiver, url: str) -> None:
    bad = {"webhook_auth_header_name": "X-Token", "webhook_auth_header_value": "line\nbreak"}
    vendor.submit(script("Hi."), webhook_url=receiver.url, **bad)
    until(lambda: totals(url)["callbacks"]["lost"] == 1)
    assert receiver.came == []
