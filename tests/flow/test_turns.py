"""Conversations: each turn is asked once, with all that was said before it, and kept before the next one is asked."""

import json

import httpx2
import pytest

from tests.premises import Premises, until
from tests.standin import faults, ledger, set_faults, totals

pytestmark = pytest.mark.anyio

TALK = """
[[pipelines]]
name = "calls"
match = ["**/*.wav"]

[[pipelines.prompts]]
name = "coaching"
model = "claude-sonnet-4-6"
fallbacks = ["gemini-2.5-flash"]
messages = [
  { role = "system", content = "You coach support agents." },
  { role = "user", content = "First: what was promised?\\n\\n{{ transcript }}" },
  { role = "assistant" },
  { role = "user", content = "Second: and what was not?" },
  { role = "assistant" },
  { role = "user", content = "Third: name one lesson." },
]
"""
SAID = [
    {"on": "ask", "do": "say", "content": content, "match": {"contains": contains}}
    for contains, content in {
        "Third:": "Promise less.",
        "Second:": "The {{ transcript }} was not.",
        "First:": "A kettle was.",
    }.items()
]


def seen(contains: str) -> dict[str, object]:
    """A rule that changes nothing and counts the requests that hold this."""
    return {"on": "ask", "do": "slow", "seconds": 0.0, "match": {"contains": contains}}


async def test_each_turn_is_asked_once_and_later_ones_see_what_was_answered(premises: Premises) -> None:
    premises.pipelines(TALK)
    last = '"content":"The {{transcript}} was not."},{"role":"user","content":"Third: name one lesson."}'
    set_faults(premises.standin, *SAID, seen(last))
    async with premises.serving():
        premises.drop("one.wav", "We send another kettle on Friday.")
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"
    (place,) = premises.files("answers/coaching.json")
    answer = json.loads(place.read_bytes())
    assert answer["content"] == "Promise less."
    assert answer["turns"] == ["A kettle was.", "The {{ transcript }} was not."]
    asks = ledger(premises.standin)["asks"]
    assert answer["usage"]["input_tokens"] == sum(ask["input_tokens"] for ask in asks)
    assert len(asks) == 3
    assert len(premises.files("requests/*.json")) == 2
    assert faults(premises.standin)[-1]["applied"] == 1


async def test_a_model_that_is_refused_is_not_tried_anew_at_each_turn(premises: Premises) -> None:
    premises.pipelines(TALK)
    set_faults(premises.standin, {"do": "retire", "model": "claude-sonnet-4-6"})
    async with premises.serving():
        premises.drop("one.wav", "We send another kettle on Friday.")
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"
    found = ledger(premises.standin)
    assert [ask["model"] for ask in found["asks"]] == ["gemini-2.5-flash"] * 3
    assert found["calls"]["ask"] == 4


async def test_a_later_run_asks_only_from_the_turn_on_that_had_failed(premises: Premises) -> None:
    premises.pipelines(TALK)
    set_faults(premises.standin, {"on": "ask", "do": "truncate", "match": {"contains": "Second:"}, "times": 1})
    async with premises.serving() as addresses:
        premises.drop("one.wav", "We send another kettle on Friday.")
        (event,) = await premises.heard(1)
        assert event["data"]["answers"]["coaching"]["error"]["code"] == "prompt_truncated"
        await retried(addresses.ops, event["data"]["job_id"])
        events = await premises.heard(2)
    assert events[1]["data"]["outcome"] == "complete"
    assert totals(premises.standin)["asks_billed"] == 4
    used = [told["data"]["answers"]["coaching"]["usage"]["requests"] for told in events]
    assert used == [2, 2], "each run counts what it paid for"


async def retried(ops: str, job: str) -> None:
    async with httpx2.AsyncClient(base_url=ops) as client:

        async def ended() -> bool:
            return (await client.get(f"/api/jobs/{job}")).json()["status"] == "failed"

        await until(ended)
        assert (await client.post(f"/api/jobs/{job}/retry")).is_success


@pytest.mark.parametrize(
    ("words", "more", "marks"), [(3_000, "", 3), (300, "", 0), (3_000, "cache_control = { type = 'ephemeral' }", 0)]
)
async def test_a_long_transcript_is_marked_for_claudes_cache_where_turns_follow(
    premises: Premises, words: int, more: str, marks: int
) -> None:
    premises.pipelines(TALK.replace("messages = [", f"{more}\nmessages = ["))
    set_faults(premises.standin, seen('{{ transcript }}","cache_control":{"type":"ephemeral"}}'))
    async with premises.serving():
        premises.drop("one.wav", " ".join(["The kettle leaks."] * (words // 3)))
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"
    assert faults(premises.standin)[0]["applied"] == marks
