"""The fault dial: each fault, and what a rule may say."""

import time
from collections.abc import Callable
from typing import Any

import httpx2
import orjson
import pytest

from service.simulator.faults import TRANSPORT, Call, Faults
from service.simulator.options import Options
from service.simulator.rules import KINDS
from tests.simulator.conftest import Vendor, vendor_at
from tests.standin import KEY, clear_faults, faults, ledger, running, script, set_faults, totals

Send = Callable[[Vendor, str], httpx2.Response]
CALLS: dict[str, Send] = {
    "upload": lambda vendor, _: vendor.http.post("/v2/upload", content=script("Hi.")),
    "submit": lambda vendor, _: vendor.http.post("/v2/transcript", json={"audio_url": "http://127.0.0.1:9/x"}),
    "read": lambda vendor, known: vendor.http.get(f"/v2/transcript/{known}"),
    "list": lambda vendor, _: vendor.http.get("/v2/transcript"),
    "captions": lambda vendor, known: vendor.http.get(f"/v2/transcript/{known}/srt"),
    "delete": lambda vendor, known: vendor.http.delete(f"/v2/transcript/{known}"),
    "ask": lambda vendor, _: vendor.ask(prompt="Hello"),
    "models": lambda vendor, _: vendor.http.get("/v1/models"),
    "understanding": lambda vendor, known: vendor.http.post(
        "/v1/understanding",
        json={"transcript_id": known, "speech_understanding": {"request": {"action_items": {}}}},
    ),
}


@pytest.fixture
def known(vendor: Vendor) -> str:
    found: str = vendor.transcribe(script("Hello there."))["id"]
    return found


@pytest.mark.parametrize("on", CALLS)
def test_every_call_can_be_refused_so_many_times(vendor: Vendor, url: str, known: str, on: str) -> None:
    set_faults(url, {"on": on, "do": "status", "status": 503, "times": 2, "retry_after": 3})
    answers = [CALLS[on](vendor, known) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "3"
    assert faults(url)[0]["applied"] == 2
    refused = [(entry["on"], entry["status"], entry["cause"], entry["count"]) for entry in ledger(url)["refused"]]
    assert refused == [(on, 503, "fault", 2)]


@pytest.mark.parametrize("on", CALLS)
def test_every_call_can_be_cut_before_it_is_handled(vendor: Vendor, url: str, known: str, on: str) -> None:
    before = len(ledger(url)["submissions"])
    set_faults(url, {"on": on, "do": "reset", "times": 1})
    with pytest.raises(httpx2.TransportError):
        CALLS[on](vendor, known)
    assert len(ledger(url)["submissions"]) == before
    assert CALLS[on](vendor, known).status_code == 200


@pytest.mark.parametrize(
    ("rule", "status", "told"),
    [
        ({"status": 429}, 429, {"error": "Too Many Requests"}),
        ({"status": 403}, 403, {"error": "Forbidden"}),
        ({"status": 500}, 500, {"error": "Server error, developers have been alerted."}),
        ({"status": 504}, 504, {"error": "Gateway Timeout"}),
        ({"status": 418}, 418, {"error": "Error"}),
        ({"status": 400, "message": "No."}, 400, {"error": "No."}),
        ({"status": 400, "body": {"a": 1}}, 400, {"a": 1}),
    ],
)
def test_a_refusal_looks_as_it_is_told_to(
    vendor: Vendor, url: str, rule: dict[str, Any], status: int, told: dict[str, Any]
) -> None:
    set_faults(url, {"on": "list", "do": "status", **rule})
    answer = vendor.http.get("/v2/transcript")
    assert (answer.status_code, answer.json()) == (status, told)
    assert "retry-after" not in answer.headers


def test_a_proxys_page_is_no_json(vendor: Vendor, url: str) -> None:
    set_faults(url, {"on": "ask", "do": "status", "status": 502, "body": "<html>Bad Gateway</html>"})
    answer = vendor.ask(prompt="Hello")
    assert (answer.status_code, answer.text) == (502, "<html>Bad Gateway</html>")


@pytest.mark.parametrize(
    ("envelope", "keys"),
    [
        ("own", {"request_id", "message", "code"}),
        ("handler", {"request_id", "message", "code"}),
        ("auth", {"error", "status", "request_id"}),
        ("nested", {"error"}),
    ],
)
def test_the_gateways_three_error_shapes(vendor: Vendor, url: str, envelope: str, keys: set[str]) -> None:
    set_faults(url, {"on": "ask", "do": "status", "status": 429, "envelope": envelope})
    body = vendor.ask(prompt="Hello").json()
    assert set(body) == keys
    inner = body["error"] if envelope == "nested" else body
    assert (inner.get("message") or inner["error"]) == "too many requests for this action"


def test_an_accepted_submission_whose_answer_is_lost_is_in_the_list_and_the_ledger(vendor: Vendor, url: str) -> None:
    set_faults(url, {"on": "submit", "do": "lose_answer", "times": 1})
    audio_url = vendor.upload(script("Hi."))
    with pytest.raises(httpx2.TransportError):
        vendor.submit(audio_url)
    assert vendor.http.get("/v2/transcript").json()["transcripts"][0]["audio_url"] == audio_url
    assert [entry["answer_seen"] for entry in ledger(url)["submissions"]] == [False]


def test_an_answer_that_is_billed_may_be_lost_behind_a_504(vendor: Vendor, url: str) -> None:
    set_faults(url, {"on": "ask", "do": "lose_answer", "status": 504, "times": 1})
    assert vendor.ask(prompt="Hello").status_code == 504
    assert vendor.ask(prompt="Hello").status_code == 200
    assert totals(url)["asks_billed"] == 2
    assert totals(url)["paid_twice"]["answers"] == 1
    assert [entry["answer_seen"] for entry in ledger(url)["asks"]] == [False, True]


def test_a_slow_call_takes_its_time_before_or_after(vendor: Vendor, url: str) -> None:
    set_faults(url, {"on": "submit", "do": "slow", "seconds": 0.2, "after": True, "times": 1})
    audio_url = vendor.upload(script("Hi."))
    with pytest.raises(httpx2.ReadTimeout):
        vendor.http.post("/v2/transcript", json={"audio_url": audio_url}, timeout=0.05)
    assert len(ledger(url)["submissions"]) == 1
    set_faults(url, {"on": "list", "do": "slow", "seconds": 0.1, "times": 1})
    started = time.monotonic()
    assert vendor.http.get("/v2/transcript").status_code == 200
    assert time.monotonic() - started >= 0.1


def test_a_garbled_body_is_no_json(vendor: Vendor, url: str) -> None:
    set_faults(url, {"on": "read", "do": "garble"})
    answer = vendor.http.get(f"/v2/transcript/{vendor.submit(script('Hi.'))}")
    assert answer.status_code == 200
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(answer.content)


def test_the_accounts_trouble_lasts_until_it_is_lifted(vendor: Vendor, url: str) -> None:
    set_faults(url, {"on": "any", "do": "account", "trouble": "key"})
    assert (vendor.http.get("/v2/transcript").status_code, vendor.ask(prompt="x").status_code) == (401, 401)
    clear_faults(url)
    set_faults(url, {"on": "any", "do": "account", "trouble": "balance"})
    answer = vendor.http.post("/v2/transcript", json={"audio_url": "http://127.0.0.1:9/x"})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("Your current account balance is negative")
    clear_faults(url)
    assert vendor.http.get("/v2/transcript").status_code == 200


def test_a_job_may_fail_in_any_words_or_hear_nothing(vendor: Vendor, url: str) -> None:
    set_faults(
        url,
        {"do": "fail", "times": 1},
        {"do": "fail", "error": "Something new", "times": 1},
        {"do": "blank", "match": {"contains": "blank-please"}},
    )
    assert vendor.transcribe(script("1"))["error"] == "Server error, developers have been alerted"
    assert vendor.transcribe(script("2"))["error"] == "Something new"
    assert vendor.transcribe(script("3"), prompt="blank-please")["text"] == ""
    assert vendor.transcribe(script("4"))["text"] == "4"


def test_a_stuck_job_is_processing_for_ever_and_blocks_nobody(vendor: Vendor, url: str) -> None:
    set_faults(url, {"do": "stuck", "times": 1})
    stuck = vendor.submit(script("1"))
    assert vendor.transcribe(script("2"))["status"] == "completed"
    assert vendor.read(stuck)["status"] == "processing"


@pytest.mark.parametrize(
    ("rule", "content", "finish"),
    [
        ({"do": "truncate"}, "[stand-in", "max_tokens"),
        ({"do": "truncate", "finish_reason": "length"}, "[stand-in", "length"),
        ({"do": "finish"}, "[stand-in", "content_filter"),
        ({"do": "null_content"}, None, "end_turn"),
        ({"do": "broken_json"}, "```json", "end_turn"),
        ({"do": "say", "content": "Exactly this."}, "Exactly this.", "end_turn"),
    ],
)
def test_a_model_may_answer_badly(
    vendor: Vendor, url: str, rule: dict[str, Any], content: str | None, finish: str
) -> None:
    set_faults(url, {**rule, "match": {"model": "claude-sonnet-4-6"}})
    choice = vendor.ask(prompt="Sum up.\n\nIt was late. It was dark.").json()["choices"][0]
    assert choice["finish_reason"] == finish
    said = choice["message"]["content"]
    assert said is None if content is None else said.startswith(content)
    assert vendor.ask(model="gpt-5", prompt="Hello").json()["choices"][0]["finish_reason"] == "stop"


def test_usage_may_have_only_the_old_names(vendor: Vendor, url: str) -> None:
    set_faults(url, {"do": "old_usage"})
    assert set(vendor.ask(prompt="Hello").json()["usage"]) == {"input_tokens", "output_tokens", "total_tokens"}


def test_json_repair_alone_can_fail(vendor: Vendor, url: str) -> None:
    set_faults(url, {"on": "ask", "do": "status", "status": 500, "match": {"contains": "json-repair"}})
    assert vendor.ask(prompt="x", post_processing_steps=[{"type": "json-repair"}]).status_code == 500
    assert vendor.ask(prompt="x").status_code == 200


def test_rules_match_by_job_audio_and_transcript(vendor: Vendor, url: str) -> None:
    one = vendor.submit(script("1"), webhook_url="http://127.0.0.1:9/callbacks/one")
    two = vendor.submit(script("2"), webhook_url="http://127.0.0.1:9/callbacks/two")
    set_faults(url, {"on": "read", "do": "status", "match": {"job": "/one"}})
    assert [vendor.http.get(f"/v2/transcript/{found}").status_code for found in (one, two)] == [503, 200]
    clear_faults(url)
    set_faults(url, {"on": "read", "do": "status", "match": {"transcript_id": two}})
    assert [vendor.http.get(f"/v2/transcript/{found}").status_code for found in (one, two)] == [200, 503]
    clear_faults(url)
    set_faults(url, {"on": "submit", "do": "status", "match": {"audio": "special"}})
    for audio_url, status in (("http://127.0.0.1:9/special", 503), ("http://127.0.0.1:9/plain", 200)):
        assert vendor.http.post("/v2/transcript", json={"audio_url": audio_url}).status_code == status


def test_one_rule_can_be_removed_and_the_first_ones_skipped(vendor: Vendor, url: str) -> None:
    rules = set_faults(url, {"on": "list", "do": "status", "skip": 1}, {"on": "read", "do": "reset"})
    httpx2.delete(f"{url}/simulator/faults/{rules[1]['id']}")
    assert len(faults(url)) == 1
    assert [vendor.http.get("/v2/transcript").status_code for _ in range(3)] == [200, 503, 503]
    httpx2.post(f"{url}/simulator/faults", json={"rules": [{"on": "read", "do": "garble"}], "replace": True})
    assert [rule["do"] for rule in faults(url)] == ["garble"]


def test_the_same_seed_throws_the_same_dice() -> None:
    def throws(seed: int) -> list[int]:
        dial = Faults(0)
        dial.add({"rules": [{"on": "any", "do": "reset", "probability": 0.5}], "seed": seed})
        return [len(dial.draw(Call(on="read"), TRANSPORT)) for _ in range(50)]

    assert throws(7) == throws(7)
    assert throws(7) != throws(8)
    assert 10 < sum(throws(7)) < 40


def test_any_means_every_call_but_no_webhook() -> None:
    dial = Faults(0)
    dial.add({"rules": [{"on": "any", "do": "reset"}]})
    assert dial.draw(Call(on="models"), TRANSPORT)
    assert not dial.draw(Call(on="webhook"), TRANSPORT)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("reset", "A rule is a JSON object."),
        ({"do": "explode"}, "do: 'explode' is none of status, "),
        ({"do": "reset"}, "on: None does not go with do 'reset'; it takes submit, "),
        ({"do": "lose", "on": "read"}, "on: 'read' does not go with do 'lose'"),
        ({"do": "slow", "on": "read", "secs": 1}, "secs: unknown with do 'slow'; it knows seconds, after."),
        ({"do": "slow", "on": "read", "seconds": "1"}, "seconds: takes int or float, not '1'."),
        ({"do": "reset", "on": "read", "times": -1}, "times: takes a number that is not negative, not -1."),
        ({"do": "reset", "on": "read", "match": {"colour": "red"}}, "match: takes texts under model, "),
        ({"do": "account", "on": "any", "trouble": "mood"}, "trouble: 'mood' is none of key, balance."),
    ],
)
def test_a_bad_rule_is_refused_in_one_sentence_and_changes_nothing(url: str, rule: object, told: str) -> None:
    answer = httpx2.post(f"{url}/simulator/faults", json={"rules": [{"do": "stuck"}, rule]})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(told)
    assert faults(url) == []


@pytest.mark.parametrize("body", [{"rules": 7}, {"seed": "x"}])
def test_a_bad_dial_is_refused(url: str, body: dict[str, object]) -> None:
    assert httpx2.post(f"{url}/simulator/faults", json=body).status_code == 400


def test_rules_can_be_in_force_from_the_start() -> None:
    with running(Options(api_key=KEY, faults=({"on": "list", "do": "status", "times": 1},))) as url:
        vendor = vendor_at(url)
        assert [vendor.http.get("/v2/transcript").status_code for _ in range(2)] == [503, 200]
        vendor.http.close()


def test_the_dial_tells_what_it_knows(url: str) -> None:
    known = httpx2.get(f"{url}/simulator/faults").json()["knows"]
    assert set(known) == set(KINDS)
    assert known["slow"]["seconds"] == 1.0
