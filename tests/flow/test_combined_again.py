"""What was asked together, or could not be, is not asked together anew: not later, and not in a further run."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.flow.test_combined import COMBINED
from tests.flow.test_reanalysis import asked, ended
from tests.premises import Premises, eventually
from tests.standin import clear_faults, ledger, set_faults, totals

pytestmark = pytest.mark.anyio

NAMES = ("summary", "mood", "steps", "title")


def pipelines(*more: str, combine: bool = True, fallbacks: str = "[]", model: str = "claude-sonnet-4-6") -> str:
    head = f'[defaults]\nmodel = "{model}"\nmax_tokens = 200\nfallbacks = {fallbacks}\n[[pipelines]]\nname = "calls"\n'
    return f'{head}match = ["**/*.wav"]\ncombine = {str(combine).lower()}\n' + "".join(
        f'[[pipelines.prompts]]\nname = "{name}"\nprompt = "Tell the {name} of it.\\n\\n{{{{ transcript }}}}"\n'
        for name in (*NAMES, *more)
    )


def alone(name: str) -> dict[str, str]:
    """Matches the prompt's own request."""
    return {"contains": f"Tell the {name} of it.\\n\\n{{{{ transcript }}}}"}


def combined(standin: str) -> int:
    """How many requests were for several prompts, refused ones among them."""
    rules = [rule for rule in set_faults(standin) if rule["do"] == "slow" and rule["match"] == COMBINED]
    return sum(rule["applied"] for rule in rules)


def answers(premises: Premises) -> dict[str, Any]:
    return {place.stem: json.loads(place.read_bytes()) for place in premises.files("answers/*.json")}


def used(event: dict[str, Any]) -> int:
    return sum(told["usage"]["total_tokens"] for told in event["data"]["answers"].values())


def paid(standin: str) -> int:
    return sum(ask["input_tokens"] + ask["output_tokens"] for ask in ledger(standin)["asks"])


async def test_combining_asks_nothing_anew_and_of_a_further_run_only_what_is_new_in_one_request(
    premises: Premises,
) -> None:
    premises.pipelines(pipelines(combine=False))
    async with premises.serving():
        premises.drop("one.wav", "The kettle leaks.", "We send another one on Friday.")
        await premises.heard(1)
        await ended(premises)
        more = pipelines("price", "place")
        # One that was asked together with another, and one that was asked alone.
        changed = more.replace("Tell the price", "Tell the new price").replace("Tell the mood", "Tell the new mood")
        for requests, text in enumerate([pipelines(), more, changed]):
            premises.pipelines(text)
            assert await asked(premises) == 0
            await premises.heard(1 + requests)
            await ended(premises)
            assert totals(premises.standin)["asks_billed"] == len(NAMES) + requests
    assert [event["data"]["outcome"] for event in premises.events()] == ["complete"] * 3


async def test_what_a_combined_request_did_not_bring_is_asked_alone_also_when_a_prompt_has_failed_meanwhile(
    premises: Premises,
) -> None:
    premises.pipelines(pipelines().replace('name = "summary"', 'name = "summary"\nrequired = false'))
    set_faults(
        premises.standin,
        {"on": "ask", "do": "slow", "seconds": 0, "match": COMBINED},
        {"on": "ask", "do": "say", "content": "I would rather talk.", "match": COMBINED},
        {"on": "ask", "do": "finish", "finish_reason": "content_filter", "match": alone("summary")},
        *({"on": "ask", "do": "reset", "times": 1, "match": alone(name)} for name in ("mood", "steps")),
    )
    async with premises.serving():
        premises.drop("one.wav", "The kettle leaks.", "We send another one on Friday.")
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "partial"
    assert combined(premises.standin) == 1
    assert used(event) == paid(premises.standin)


@pytest.mark.usefixtures("brisk")
async def test_a_gateway_that_cannot_be_reached_for_a_while_parts_nobody(premises: Premises) -> None:
    premises.pipelines(pipelines())
    # Nothing in the vendor's words: something between us and it answers, and no request was begun.
    set_faults(premises.standin, {"on": "ask", "do": "status", "status": 404, "body": "<html>", "times": 3})
    async with premises.serving():
        premises.drop("one.wav", "The kettle leaks.", "We send another one on Friday.")
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"
    assert totals(premises.standin)["asks_billed"] == 1


@pytest.mark.usefixtures("brisk")
async def test_an_answer_of_an_earlier_run_stands_though_others_of_its_group_fail(tmp_path: Path, standin: str) -> None:
    premises = Premises(tmp_path, standin, AFTERWORD_GIVE_UP_AFTER="0.5")
    premises.pipelines(pipelines())
    async with premises.serving():
        premises.drop("one.wav", "The kettle leaks.", "We send another one on Friday.")
        await premises.heard(1)
        await ended(premises)
        set_faults(standin, {"on": "ask", "do": "status", "status": 404, "body": "<html>"})
        premises.pipelines(pipelines().replace("Tell the mood", "What mood").replace("Tell the title", "What title"))
        assert await asked(premises) == 0
        _, second = await premises.heard(2)
    assert second["data"]["outcome"] == "failed"
    assert {name for name, told in second["data"]["answers"].items() if "error" in told} == {"mood", "title"}


async def test_together_they_fall_back_and_who_refused_them_is_left_alone_for_a_while(premises: Premises) -> None:
    premises.pipelines(
        pipelines(model="gpt-5", fallbacks='["gpt-5-mini", { model = "gemini-2.5-flash", max_tokens = 40 }]')
    )
    set_faults(premises.standin, {"do": "retire", "model": "gpt-5"}, {"do": "retire", "model": "gpt-5-mini"})
    async with premises.serving():
        for number in range(2):
            premises.drop(f"{number}.wav", f"Number {number} is asked about, and it is a rather long one.")
            await premises.heard(number + 1)
    assert {answer["model"] for answer in answers(premises).values()} == {"gemini-2.5-flash"}
    found = ledger(premises.standin)
    assert found["totals"]["asks_billed"] == 2
    assert found["calls"]["ask"] == 2 + 2


async def test_models_that_take_no_form_refuse_the_first_recording_and_no_other(premises: Premises) -> None:
    premises.pipelines(pipelines())
    refusal = {"do": "status", "status": 400, "envelope": "handler", "message": "response_format is invalid: too deep"}
    set_faults(premises.standin, {"on": "ask", "match": COMBINED, **refusal})
    async with premises.serving():
        for number in range(2):
            premises.drop(f"{number}.wav", f"Number {number} is asked about.")
            await premises.heard(number + 1)
    found = ledger(premises.standin)
    assert found["totals"]["asks_billed"] == 2 * len(NAMES)
    assert found["calls"]["ask"] == 2 * len(NAMES) + 1


async def test_who_goes_out_second_waits_for_all_who_may_share_the_request(premises: Premises) -> None:
    later = "".join(
        f'[[pipelines.prompts]]\nname = "after-{name}"\nprompt = "{{{{ answers.{name} }}}} {{{{ transcript }}}}"\n'
        for name in ("summary", "mood")
    )
    premises.pipelines(pipelines() + later)
    set_faults(
        premises.standin,
        {"on": "ask", "do": "omit", "property": "mood", "match": COMBINED, "times": 1},
        {"on": "ask", "do": "reset", "match": alone("mood"), "times": 1},
    )
    async with premises.serving():
        premises.drop("one.wav", "The kettle leaks.", "We send another one on Friday.")
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"
    assert totals(premises.standin)["asks_billed"] == 3
    assert used(event) == paid(premises.standin)


async def test_what_is_heard_of_the_models_meanwhile_makes_it_no_other_request(premises: Premises) -> None:
    # Together they ask for more than the model can write, which is known only once the catalogue is heard.
    premises.pipelines(pipelines().replace("max_tokens = 200", "max_tokens = 9000"))
    set_faults(
        premises.standin,
        {"on": "models", "do": "status", "status": 503},
        {"on": "ask", "do": "omit", "property": "mood", "match": COMBINED},
        {"on": "ask", "do": "status", "status": 429, "retry_after": 1, "match": alone("mood")},
    )
    async with premises.serving():
        premises.drop("one.wav", "The kettle leaks.", "We send another one on Friday.")
        await eventually(lambda: len(answers(premises)) == 3)
    clear_faults(premises.standin)
    async with premises.serving():
        (event,) = await premises.heard(1)
    assert totals(premises.standin)["asks_billed"] == 2
    assert used(event) == paid(premises.standin)
