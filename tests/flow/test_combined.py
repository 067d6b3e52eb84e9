"""Prompts that share a request: the transcript is paid for once, and every answer is as if asked for alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.longrun.processes import Process, eventually
from tests.premises import Premises
from tests.standin import ledger, set_faults, totals

pytestmark = pytest.mark.anyio

NAMES = ("summary", "mood", "steps", "title", "topics")
FIVE = (
    """
[defaults]
model = "{model}"
max_tokens = 200

[[pipelines]]
name = "calls"
match = ["**/*.wav"]
combine = {combine}
"""
    + "".join(
        f"""
[[pipelines.prompts]]
name = "{name}"
prompt = "Tell the {name} of it.\\n\\n{{{{{{{{ transcript }}}}}}}}"
"""
        for name in NAMES[:-1]
    )
    + """
[[pipelines.prompts]]
name = "topics"
prompt = "Tell the topics of it.\\n\\n{{{{ transcript }}}}"

[pipelines.prompts.response_format]
type = "json_schema"

[pipelines.prompts.response_format.json_schema]
name = "topics"
strict = true

[pipelines.prompts.response_format.json_schema.schema]
type = "object"
additionalProperties = false
required = ["topics"]

[pipelines.prompts.response_format.json_schema.schema.properties]
topics = {{ type = "array", items = {{ type = "string" }} }}
"""
)
COMBINED = {"contains": "Do each of them as if it were the only one"}
SENTENCES = [
    f"In minute {minute} we spoke of kettle number {minute}, which leaks, and of who will send it."
    for minute in range(240)
]
"""About twenty minutes of speech."""


def pipelines(*, combine: bool, model: str = "claude-sonnet-4-6") -> str:
    return FIVE.format(combine=str(combine).lower(), model=model)


async def told(premises: Premises, name: str = "one.wav", *texts: str) -> dict[str, Any]:
    """The event's data of one recording that was dropped."""
    async with premises.serving():
        premises.drop(name, *(texts or ("The kettle leaks.", "We will send another one on Friday.")))
        event = (await premises.heard(1))[0]
    data: dict[str, Any] = event["data"]
    return data


def answer(premises: Premises, name: str) -> dict[str, Any]:
    (place,) = premises.files(f"answers/{name}.json")
    found: dict[str, Any] = json.loads(place.read_bytes())
    return found


async def test_five_prompts_are_one_request_and_less_than_a_third_of_the_tokens(tmp_path: Path, standin: str) -> None:
    shapes, tokens = [], []
    for combine in (False, True):
        folder = tmp_path / str(combine)
        folder.mkdir()
        premises = Premises(folder, standin)
        premises.pipelines(pipelines(combine=combine))
        before = totals(standin)
        data = await told(premises, f"{combine}.wav", *SENTENCES)
        after = totals(standin)
        tokens.append(after["tokens"]["input"] - before["tokens"]["input"])
        assert after["asks_billed"] - before["asks_billed"] == (1 if combine else 5)
        shapes.append({name: sorted(told) for name, told in data["answers"].items()})
        # What each answer took adds up to what was paid.
        assert sum(told["usage"]["input_tokens"] for told in data["answers"].values()) == tokens[-1]
    assert shapes[0] == shapes[1]
    assert tokens[1] <= 0.3 * tokens[0]


async def test_answers_that_came_together_say_so_and_are_kept_as_if_asked_alone(premises: Premises) -> None:
    premises.pipelines(pipelines(combine=True))
    data = await told(premises)
    stored = {name: answer(premises, name) for name in NAMES}
    assert len({each["request_id"] for each in stored.values()}) == 1
    assert len({each["digest"] for each in stored.values()}) == len(NAMES)
    assert all(set(each["shared_with"]) == set(NAMES) - {name} for name, each in stored.items())
    assert list(data["answers"]) == list(NAMES)
    assert data["answers"]["topics"]["value"] == json.loads(stored["topics"]["content"]) == stored["topics"]["value"]
    (kept,) = premises.files("requests/*.json")
    assert json.loads(kept.read_bytes())["request_id"] == stored["mood"]["request_id"]


BROKEN: dict[str, tuple[list[dict[str, Any]], int]] = {
    # What is done to the combined answer, and how many requests that makes: only what is missing is asked again.
    "missing": ([{"do": "omit", "property": "mood"}], 2),
    "wrong type": ([{"do": "mistype", "property": "topics"}], 2),
    "empty": (
        [
            {
                "do": "say",
                "content": '{"summary": "s", "mood": " ", "steps": "s", "title": "t", "topics": {"topics": []}}',
            }
        ],
        2,
    ),
    "unspeakable": (
        [
            {
                "do": "say",
                "content": f'{{"summary": "s", "mood": "\\ud800", "steps": "s", "title": "t", "topics": {"1" * 25}}}',
            }
        ],
        3,
    ),
    "cut off": ([{"do": "say", "content": '{"summary": "s", "mood": "m", "steps": "s", "title": "t", "top'}], 2),
    "cut in two": ([{"do": "truncate"}], 0),
    "spoilt": ([{"do": "broken_json"}], 1),
    "prose": ([{"do": "say", "content": "I would rather talk."}], 6),
    "nothing": ([{"do": "null_content"}], 6),
    "withheld": ([{"do": "finish", "finish_reason": "content_filter"}], 6),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_however_the_combined_answer_is_broken_every_answer_arrives_and_nothing_valid_is_asked_again(
    premises: Premises, how: str
) -> None:
    rules, requests = BROKEN[how]
    premises.pipelines(pipelines(combine=True))
    set_faults(premises.standin, *({"on": "ask", "match": COMBINED, **rule} for rule in rules))
    data = await told(premises)
    assert data["outcome"] == "complete"
    assert set(data["answers"]) == set(NAMES)
    asks = ledger(premises.standin)["asks"]
    shared = [name for name in NAMES if answer(premises, name)["shared_with"]]
    assert len(asks) == 1 + len(NAMES) - len(shared)
    assert requests in {0, len(asks)}
    paid = sum(ask["input_tokens"] + ask["output_tokens"] for ask in asks)
    assert sum(told["usage"]["total_tokens"] for told in data["answers"].values()) == paid


async def test_a_model_without_structured_answers_is_asked_one_by_one(premises: Premises) -> None:
    text = pipelines(combine=True, model="gpt-4.1").partition('[[pipelines.prompts]]\nname = "topics"')[0]
    premises.pipelines(text)
    data = await told(premises)
    assert data["outcome"] == "complete"
    assert totals(premises.standin)["asks_billed"] == 4


async def test_a_combined_request_that_is_refused_or_too_long_is_parted(premises: Premises) -> None:
    premises.pipelines(pipelines(combine=True))
    set_faults(premises.standin, {"on": "ask", "do": "status", "status": 400, "message": "too odd", "match": COMBINED})
    data = await told(premises)
    assert data["outcome"] == "complete"
    assert totals(premises.standin)["asks_billed"] == 5


async def test_what_needs_an_answer_goes_in_a_second_request(premises: Premises) -> None:
    more = "".join(
        f'\n[[pipelines.prompts]]\nname = "{name}"\nprompt = "{name}? {{{{ answers.summary }}}} {{{{ transcript }}}}"\n'
        for name in ("later", "latest")
    )
    premises.pipelines(pipelines(combine=True) + more)
    data = await told(premises)
    assert len(data["answers"]) == 7
    assert totals(premises.standin)["asks_billed"] == 2


async def test_throttled_together_they_wait_together_and_no_answer_is_lost(premises: Premises) -> None:
    premises.pipelines(pipelines(combine=True))
    set_faults(premises.standin, {"on": "ask", "do": "status", "status": 429, "retry_after": 1, "times": 1})
    data = await told(premises)
    assert data["outcome"] == "complete"
    assert totals(premises.standin)["asks_billed"] == 1


def test_killed_while_it_is_taken_apart_nothing_is_paid_again(tmp_path: Path, standin: str) -> None:
    premises = Premises(tmp_path, standin, AFTERWORD_LEASE="2")
    premises.pipelines(pipelines(combine=True))
    alone = {
        "on": "ask",
        "do": "slow",
        "seconds": 3.0,
        "match": {"contains": "Tell the mood of it.\\n\\n{{ transcript }}"},
    }
    set_faults(standin, {"on": "ask", "do": "omit", "property": "mood", "match": COMBINED}, {**alone, "times": 1})
    with Process(premises, "killed") as killed:
        premises.drop("one.wav", "What arrived is not asked for again.")
        eventually(lambda: len(premises.files("answers/*.json")) == 4 and ledger(standin)["calls"]["ask"] == 2)
        killed.kill()
    with Process(premises, "next"):
        eventually(premises.events)
    (event,) = premises.events()
    assert event["data"]["outcome"] == "complete"
    digests = [ask["prompt_digest"] for ask in ledger(standin)["asks"]]
    assert digests.count(digests[0]) == 1
    assert len(set(digests)) == 2
