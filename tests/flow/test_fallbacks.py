"""What the LLM Gateway refuses without trying its fallbacks goes to the next model by our own hand; nothing is cut."""

import json
from typing import Any

import httpx2
import pytest

from service.adapters.assemblyai.catalogue import LiveCatalogue
from service.adapters.assemblyai.wire_models import models
from service.domain.asking.prompts import request_digest
from tests.premises import Premises
from tests.standin import KEY, ledger, set_faults, totals

pytestmark = pytest.mark.anyio

HEAD = '[[pipelines]]\nname = "calls"\nmatch = ["**/*.wav"]\n'
NO_ACCESS = {"do": "status", "status": 400, "envelope": "handler"} | {
    "message": "Your account does not have access to this LLM Gateway model"
}


def prompt(name: str, model: str, *fallbacks: str, more: str = "") -> str:
    listed = ", ".join(each if each.startswith("{") else f'"{each}"' for each in fallbacks)
    asked = f'prompt = "{name}: what is wrong?\\n\\n{{{{ transcript }}}}"'
    return f'[[pipelines.prompts]]\nname = "{name}"\nmodel = "{model}"\nfallbacks = [{listed}]\n{more}\n{asked}\n'


def answers(premises: Premises) -> dict[str, Any]:
    return {place.stem: json.loads(place.read_bytes()) for place in premises.files("answers/*.json")}


async def test_a_refused_model_is_passed_over_and_a_refused_fallback_is_left_out(premises: Premises) -> None:
    premises.pipelines(
        HEAD
        + prompt("retired", "gpt-5", "gpt-5-mini", "{ model = 'gemini-2.5-flash', max_tokens = 77 }")
        + prompt("parameter", "gpt-4.1", "gemini-3.6-flash", more="reasoning = { effort = 'low' }")
        + prompt("forbidden", "claude-opus-4-6", "gemini-2.5-pro")
        + prompt("behind", "claude-sonnet-4-6", "gpt-5-mini", "gemini-2.5-flash")
        + prompt("small", "qwen3.5-4b-32k-fast", "gemini-2.5-flash")
        + prompt("none", "gpt-5", "gpt-5-mini", more="required = false")
    )
    set_faults(
        premises.standin,
        {"do": "retire", "model": "gpt-5"},
        {"do": "retire", "model": "gpt-5-mini"},
        {"on": "ask", **NO_ACCESS, "match": {"model": "claude-opus-4-6"}},
    )
    async with premises.serving() as addresses:
        premises.drop("one.wav", " ".join(f"Word number {number} is long." for number in range(8_000)))
        (event,) = await premises.heard(1)
        assert await premises.metric(addresses, "afterword_parked_jobs") == 0
    assert event["data"]["outcome"] == "partial"
    assert {name: answer["model"] for name, answer in answers(premises).items()} == {
        "retired": "gemini-2.5-flash",
        "parameter": "gemini-3.6-flash",
        "forbidden": "gemini-2.5-pro",
        "behind": "claude-sonnet-4-6",
        "small": "gemini-2.5-flash",
    }
    error = event["data"]["answers"]["none"]["error"]
    assert error["code"] == "prompt_rejected"
    assert "no model could answer: model gpt-5 is not supported; model gpt-5-mini is not supported" in error["message"]
    # Who answered is no part of what was asked: the model that comes back finds nothing changed.
    pipeline = premises.loaded.get("calls")
    assert pipeline is not None
    asked = pipeline.prompt("retired")
    assert asked is not None
    transcript = event["data"]["transcript"]["id"]
    messages = [{"role": "user", "content": "retired: what is wrong?\n\n{{ transcript }}"}]
    request = {**asked.request, "messages": messages, "transcript_id": transcript}
    assert answers(premises)["retired"]["digest"] == request_digest(request, transcript, {})
    assert totals(premises.standin)["asks_billed"] == 5


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service has heard the catalogue of models before anything else."""

    class Heard(LiveCatalogue):
        def __init__(self, client: httpx2.AsyncClient, base_url: str, key: Any) -> None:
            super().__init__(client, base_url, key)
            self._models = models(httpx2.get(f"{base_url}/v1/models", headers={"authorization": KEY}).content)

    monkeypatch.setattr("service.wiring.LiveCatalogue", Heard)


@pytest.mark.usefixtures("heard")
async def test_ninety_thousand_words_go_to_the_model_with_room_and_nothing_is_sent_to_the_others(
    premises: Premises,
) -> None:
    small = ("qwen3.5-4b-32k-fast", "gpt-oss-120b")
    premises.pipelines(
        HEAD + prompt("roomy", *small, "gemini-2.5-flash") + prompt("narrow", *small, more="required = false")
    )
    premises.drop("one.wav", " ".join(["The kettles leak."] * 30_000))
    async with premises.serving():
        (event,) = await premises.heard(1)
    assert answers(premises)["roomy"]["model"] == "gemini-2.5-flash"
    error = event["data"]["answers"]["narrow"]["error"]
    assert error["code"] == "prompt_too_long"
    for said in ("qwen3.5-4b-32k-fast has a context of 32000 tokens", "gpt-oss-120b has a context of 128000"):
        assert f"{said}" in error["message"]
    assert "takes about 135006 and its answer up to 1000" in error["message"]
    found = ledger(premises.standin)
    assert found["calls"]["ask"] == 1
    assert [ask["model"] for ask in found["asks"]] == ["gemini-2.5-flash"]
    assert (await premises.rows())["one.wav"].facts["transcript"]["text_bytes"] == 30_000 * 18 - 1


async def test_a_refused_model_is_not_asked_again_for_each_recording_and_told_once(
    premises: Premises, capsys: pytest.CaptureFixture[str]
) -> None:
    premises.pipelines(HEAD + prompt("first", "gpt-5", "gemini-2.5-flash") + prompt("last", "gpt-4.1", "gpt-5-mini"))
    set_faults(premises.standin, {"do": "retire", "model": "gpt-5"}, {"do": "retire", "model": "gpt-5-mini"})
    async with premises.serving():
        for number in range(5):
            premises.drop(f"{number}.wav", f"Number {number} is asked about.")
            await premises.heard(number + 1)
    assert {event["data"]["outcome"] for event in premises.events()} == {"complete"}
    found = ledger(premises.standin)
    assert found["totals"]["asks_billed"] == 10
    assert found["calls"]["ask"] == 12
    assert capsys.readouterr().out.count("model.passed_over") == 2
