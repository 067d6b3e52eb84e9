"""The Gateway as the vendor API reference tells it."""

from typing import Any

import httpx2
import jsonschema
import orjson
import pytest

from service.simulator.injection import inject
from service.simulator.options import Options
from service.simulator.rates import Windows
from tests.simulator.conftest import Vendor, until, vendor_at
from tests.standin import KEY, ledger, running, script, set_faults, totals

TEXTS = ("My kettle leaks.", "We will send a new one.", "What does it cost?", "Thank you.")
TAG = "{{ transcript }}"


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


@pytest.fixture
def transcript_id(vendor: Vendor) -> str:
    found: str = vendor.transcribe(script(*TEXTS))["id"]
    return found


@pytest.mark.parametrize(
    ("messages", "rendered"),
    [
        ([user(f"Sum up: {TAG}")], [user("Sum up: SAID")]),
        ([user(f"{TAG} and {TAG}")], [user(f"SAID and {TAG}")]),
        ([user("first"), user(TAG), user(TAG)], [user("first"), user("SAID"), user(TAG)]),
        ([user("{{transcript}} {{ Transcript }} {{  transcript  }}")],) * 2,
        ([user("no tag")],) * 2,
        (
            [user([{"type": "text", "text": "Sum up"}, {"type": "text", "text": TAG}, {"type": "text", "text": TAG}])],
            [
                user(
                    [
                        {"type": "text", "text": "Sum up"},
                        {"type": "text", "text": "SAID"},
                        {"type": "text", "text": TAG},
                    ]
                )
            ],
        ),
        ([{"role": "assistant"}, user(TAG)], [{"role": "assistant"}, user("SAID")]),
    ],
)
def test_only_the_first_exact_tag_is_replaced(messages: list[dict[str, Any]], rendered: list[dict[str, Any]]) -> None:
    assert inject(messages, "SAID") == rendered


def test_what_replaces_the_tag_is_not_looked_at_again() -> None:
    assert inject([user(TAG)], f"he said {TAG}") == [user(f"he said {TAG}")]


@pytest.mark.parametrize(
    "body", [{"messages": [user(f"List questions.\n\n{TAG}")]}, {"prompt": f"List questions. {TAG}"}]
)
def test_a_tag_is_filled_by_transcript_id(vendor: Vendor, transcript_id: str, body: dict[str, Any]) -> None:
    answer = vendor.ask(transcript_id=transcript_id, max_tokens=50, **body).json()
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "[stand-in extract] What does it cost?"}
    assert answer["request"] == {"model": "claude-sonnet-4-6", "max_tokens": 50, "transcript_id": transcript_id}
    usage = answer["usage"]
    assert usage["input_tokens"] == usage["prompt_tokens"] > 0
    assert usage["total_tokens"] == usage["input_tokens"] + usage["completion_tokens"]
    assert answer["http_status_code"] == answer["llm_status_code"] == 200


def test_a_misspelt_tag_gives_an_answer_about_nothing(vendor: Vendor, transcript_id: str) -> None:
    answer = vendor.ask(transcript_id=transcript_id, messages=[user("Sum up {{transcript}}")])
    assert answer.status_code == 200
    assert "There is no transcript" in answer.json()["choices"][0]["message"]["content"]


def test_without_a_tag_even_an_unknown_id_is_ignored(vendor: Vendor) -> None:
    assert vendor.ask(transcript_id="nobody", messages=[user("Hello")]).status_code == 200


def test_unknown_deleted_and_unfinished_transcripts(vendor: Vendor, url: str, transcript_id: str) -> None:
    unknown = vendor.ask(transcript_id="nobody", messages=[user(TAG)])
    assert (unknown.status_code, unknown.json()["message"], unknown.json()["code"]) == (
        404,
        "transcript not found",
        404,
    )
    vendor.http.delete(f"/v2/transcript/{transcript_id}")
    deleted = vendor.ask(transcript_id=transcript_id, messages=[user(TAG)])
    assert (deleted.status_code, deleted.json()["message"]) == (404, "transcript deleted")
    set_faults(url, {"do": "stuck"})
    assert vendor.ask(transcript_id=vendor.submit(script("Hi.")), messages=[user(TAG)]).status_code == 400


def test_redacted_text_is_what_the_model_gets(vendor: Vendor) -> None:
    found = vendor.transcribe(script("The code is 1234."), redact_pii=True)
    answer = vendor.ask(transcript_id=found["id"], messages=[user(f"Sum up.\n\n{TAG}")])
    assert answer.json()["choices"][0]["message"]["content"] == "[stand-in extract] The code is ####."


def test_the_gateway_takes_the_raw_key_and_bearer(url: str) -> None:
    for given in (KEY, f"Bearer {KEY}"):
        headers = {"authorization": given}
        body = {"model": "gpt-5", "prompt": "Hello"}
        assert httpx2.post(f"{url}/v1/chat/completions", json=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "told"),
    [({}, "Your account does not have access to LLM Gateway."), ({"authorization": "no"}, "Authentication error")],
)
def test_a_wrong_key_gets_the_envelope_of_the_middleware(url: str, headers: dict[str, str], told: str) -> None:
    answer = httpx2.post(f"{url}/v1/chat/completions", json={}, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"].startswith(told)
    assert set(answer.json()) == {"error", "status", "request_id"}


def test_models_need_no_key_and_name_what_they_support(url: str) -> None:
    models = {model["id"]: model for model in httpx2.get(f"{url}/v1/models").json()["data"]}
    assert len(models) >= 15
    assert "response_format" in models["claude-sonnet-4-6"]["supported_parameters"]
    assert "response_format" not in models["gpt-4.1"]["supported_parameters"]


SCHEMA = {"type": "object", "properties": {"mood": {"enum": ["calm", "cross"]}}, "required": ["mood"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "mood", "schema": SCHEMA}}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"model": "no-such-model"}, "model no-such-model is not supported"),
        ({"model": None}, "invalid request body"),
        ({"messages": []}, "one of messages or prompt required"),
        ({"messages": "Hello"}, "invalid request body"),
        ({"messages": [{"role": "boss", "content": "x"}]}, "invalid request body"),
        ({"messages": [{"role": "user", "content": 7}]}, "invalid request body"),
        ({"prompt": 7, "messages": None}, "invalid request body"),
        ({"model": "gpt-5", "temperature": 0.0}, "model gpt-5 does not support temperature"),
        ({"model": "gpt-oss-120b", "response_format": FORMAT}, "model gpt-oss-120b does not support response_format"),
        ({"model": "qwen3.5-4b-32k-fast", "tools": [{}]}, "model qwen3.5-4b-32k-fast does not support tools"),
        ({"max_tokens": 0}, "invalid request body"),
        ({"temperature": 3}, "invalid request body"),
        ({"model_region": "eu"}, "model_region can only be set to global"),
        ({"fallback_config": {"depth": 3}}, "fallback_config depth cannot be greater than 2"),
        ({"fallback_config": []}, None),
        ({"fallback_config": {"depth": "1"}}, "invalid request body"),
        ({"fallbacks": ["gpt-5"]}, "invalid request body"),
        ({"fallbacks": [{"model": "gone"}]}, "model gone is not supported"),
        ({"response_format": {"type": "json_object"}}, "response_format is invalid: "),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format is invalid: "),
        ({"post_processing_steps": [{"type": "polish"}]}, "invalid request body"),
        ({"messages": [user("x" * 900_000)]}, "model context limit exceeded"),
        ({"made_up": 1, "model_region": "global", "post_processing_steps": [{"type": "json-repair"}]}, None),
    ],
)
def test_what_a_request_may_ask(vendor: Vendor, url: str, body: dict[str, Any], told: str | None) -> None:
    answer = vendor.ask(**{"messages": [user("Hello")], **body})
    assert answer.status_code == (200 if told is None else 400)
    if told is not None:
        assert answer.json()["message"].startswith(told)
        assert answer.json()["request_id"]
        assert totals(url)["asks_billed"] == 0


def test_a_body_that_is_no_json_is_400_and_says_why(vendor: Vendor) -> None:
    answer = vendor.http.post("/v1/chat/completions", content=b"{")
    assert (answer.status_code, answer.json()["message"]) == (400, "invalid request body")
    assert answer.json()["metadata"]["errors"]


@pytest.mark.parametrize(
    ("model", "whole", "cut"),
    [
        ("claude-sonnet-4-6", "end_turn", "max_tokens"),
        ("gpt-5", "stop", "length"),
        ("gemini-2.5-flash", "STOP", "MAX_TOKENS"),
        ("qwen3-next-80b-a3b", "stop", "length"),
    ],
)
def test_the_finish_reason_is_the_providers_own(vendor: Vendor, model: str, whole: str, cut: str) -> None:
    source = "It was a very long day for all of us.\n\nSum up"
    full = vendor.ask(model=model, messages=[user(source)]).json()
    assert full["choices"][0]["finish_reason"] == whole
    short = vendor.ask(model=model, messages=[user(source)], max_tokens=3).json()
    assert short["choices"][0]["finish_reason"] == cut
    assert short["choices"][0]["message"]["content"] == full["choices"][0]["message"]["content"][:12]
    assert short["usage"]["output_tokens"] == 3


def test_a_schema_is_answered_with_json_that_it_accepts(vendor: Vendor, transcript_id: str) -> None:
    answer = vendor.ask(transcript_id=transcript_id, messages=[user(f"Mood? {TAG}")], response_format=FORMAT)
    jsonschema.validate(orjson.loads(answer.json()["choices"][0]["message"]["content"]), SCHEMA)


def test_json_is_repaired_where_it_can_be_and_refused_with_500_where_it_cannot(vendor: Vendor, url: str) -> None:
    asked = {"messages": [user("Mood?")], "response_format": FORMAT, "post_processing_steps": [{"type": "json-repair"}]}
    set_faults(
        url, {"on": "ask", "do": "broken_json", "times": 1}, {"on": "ask", "do": "say", "content": "No.", "skip": 1}
    )
    mended = vendor.ask(**asked).json()["choices"][0]["message"]["content"]
    jsonschema.validate(orjson.loads(mended), SCHEMA)
    assert vendor.ask(**asked).status_code == 500
    assert vendor.ask(**{**asked, "post_processing_steps": []}).is_success


def test_a_tool_is_called_when_it_is_forced(vendor: Vendor) -> None:
    tool = {"type": "function", "function": {"name": "note", "parameters": SCHEMA}}
    choice = {"type": "function", "function": {"name": "note"}}
    body = {"messages": [user("Take a note")], "tools": [tool]}
    message = vendor.ask(**body, tool_choice=choice).json()["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"][0]["function"]["name"] == "note"
    assert vendor.ask(**body).json()["choices"][0]["message"]["content"]
    unknown = {"type": "function", "function": {"name": "other"}}
    assert vendor.ask(**body, tool_choice=unknown).json()["choices"][0]["message"]["content"]


def test_rate_windows_are_per_model_and_count_the_refused() -> None:
    with running(Options(api_key=KEY, gateway_limit=2, gateway_window_seconds=60)) as url:
        vendor = vendor_at(url)
        answers = [vendor.ask(prompt="Hello") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "-1", "-2"]
        refused = answers[2]
        assert refused.json()["message"] == "too many requests for this action"
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert refused.headers["x-ratelimit-model"] == "claude-sonnet-4-6"
        assert refused.headers["x-ratelimit-service"] == "llmgw"
        assert "retry-after" not in answers[1].headers
        assert vendor.ask(model="gpt-5", prompt="Hello").status_code == 200
        no_access = vendor.ask(model="no-such", prompt="Hello")
        assert "x-ratelimit-limit" not in no_access.headers
        assert [entry["count"] for entry in ledger(url)["refused"] if entry["status"] == 429] == [2]
        vendor.http.close()


def test_a_window_starts_anew_when_it_ends() -> None:
    now = [0.0]
    windows = Windows(1, 60.0, lambda: now[0])
    assert [windows.count("m").exceeded for _ in range(3)] == [False, True, True]
    now[0] = 59.9
    assert windows.count("m").reset_seconds == 1
    now[0] = 60.0
    assert not windows.count("m").exceeded


def test_understanding_has_its_own_window_and_errors(vendor: Vendor, transcript_id: str) -> None:
    def ask(**features: Any) -> httpx2.Response:
        body = {"transcript_id": transcript_id, "speech_understanding": {"request": features}}
        return vendor.http.post("/v1/understanding", json=body)

    answer = ask(action_items={})
    assert answer.headers["x-ratelimit-feature"] == "understanding"
    assert answer.headers["x-ratelimit-service"] == "speech-understanding"
    assert set(answer.json()) == {"speech_understanding", "request_id"}
    assert ask(speaker_identification={}).json()["message"] == "speaker_labels or multichannel required"
    assert ask(custom_formatting={"date": "mm/dd"}).status_code == 200
    for wrong in ({}, {"poetry": {}}, {"summarization": {"summary_type": "haiku"}}, {"translation": {}}):
        assert ask(**wrong).status_code == 400
        body = {"speech_understanding": {"request": wrong}}
        assert vendor.http.post("/v1/understanding/validate", json=body).json()["metadata"]["errors"]


def test_understanding_is_limited(transcript_id: str) -> None:
    del transcript_id
    with running(Options(api_key=KEY, queue_seconds=0, process_seconds=0, gateway_limit=1)) as url:
        vendor = vendor_at(url)
        body = {
            "transcript_id": vendor.transcribe(script("Hi."))["id"],
            "speech_understanding": {"request": {"action_items": {}}},
        }
        assert vendor.http.post("/v1/understanding", json=body).status_code == 200
        assert vendor.http.post("/v1/understanding", json=body).status_code == 429
        vendor.http.close()


def test_a_model_that_fails_is_asked_again_then_its_fallback(url: str, vendor: Vendor) -> None:
    del vendor
    options = Options(api_key=KEY, upstream_retry_seconds=0.0)
    with running(options) as quick:
        client = vendor_at(quick)
        set_faults(quick, {"do": "model_down", "match": {"model": "gpt-5"}, "times": 1})
        assert client.ask(model="gpt-5", prompt="Hello").json()["model"] == "gpt-5"
        set_faults(quick, {"do": "model_down", "match": {"model": "gpt-5"}, "status": 504})
        assert client.ask(model="gpt-5", prompt="Hello").status_code == 504
        answer = client.ask(
            model="gpt-5", prompt="Hello", fallbacks=[{"model": "gemini-2.5-flash", "temperature": 0.1}], max_tokens=9
        ).json()
        assert answer["model"] == "gemini-2.5-flash"
        assert answer["request"]["model"] == "gpt-5"
        assert answer["choices"][0]["finish_reason"] == "MAX_TOKENS"
        only = {"fallback_config": {"retry": False, "depth": 0}}
        assert (
            client.ask(model="gpt-5", prompt="Hi", fallbacks=[{"model": "gemini-2.5-flash"}], **only).status_code == 504
        )
        client.http.close()


def test_a_model_that_is_taken_out_of_the_catalogue_is_not_supported_any_more(vendor: Vendor, url: str) -> None:
    set_faults(url, {"do": "retire", "model": "gpt-5"})
    assert vendor.ask(model="gpt-5", prompt="Hello").json()["message"] == "model gpt-5 is not supported"
    assert "gpt-5" not in {model["id"] for model in vendor.http.get("/v1/models").json()["data"]}


def test_different_prompts_give_different_extracts_and_the_same_one_the_same(
    vendor: Vendor, transcript_id: str
) -> None:
    def ask(prompt: str) -> str:
        answer = vendor.ask(transcript_id=transcript_id, messages=[user(f"{prompt}\n\n{TAG}")]).json()
        said: str = answer["choices"][0]["message"]["content"]
        return said

    prompts = (
        "Provide a brief summary.",
        "List the action items.",
        "Which questions are open?",
        "Anything about kettles?",
    )
    assert len({ask(prompt) for prompt in prompts}) == 4
    assert ask(prompts[0]) == ask(prompts[0])
    until(lambda: totals(str(vendor.http.base_url).rstrip("/"))["paid_twice"]["answers"] == 1)


def test_what_the_dial_changes_of_a_model_the_catalogue_tells_and_questions_meet(vendor: Vendor, url: str) -> None:
    set_faults(
        url,
        {"do": "retire_at", "model": "gpt-5", "at": 1_800_000_000},
        {"do": "withdraw", "model": "gpt-5", "parameter": "reasoning"},
    )
    models = {model["id"]: model for model in vendor.http.get("/v1/models").json()["data"]}
    assert {name for name, model in models.items() if model["retirement_date"]} == {"gpt-5"}
    assert models["gpt-5"]["retirement_date"] == 1_800_000_000
    assert "reasoning" not in models["gpt-5"]["supported_parameters"]
    refused = vendor.ask(model="gpt-5", prompt="Hello", reasoning={"effort": "low"})
    assert refused.json()["message"] == "model gpt-5 does not support reasoning"


def test_models_cost_differently(url: str) -> None:
    models = {model["id"]: model for model in httpx2.get(f"{url}/v1/models").json()["data"]}
    prices = {name: models[name]["pricing"]["global"]["prompt"] for name in ("gpt-5", "gpt-5-mini", "claude-opus-5")}
    assert len(set(prices.values())) == 3
    assert all(0 < price < 1e-4 for price in prices.values())
