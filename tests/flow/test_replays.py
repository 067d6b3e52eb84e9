"""Killed in the middle of what takes several requests: what had arrived is not asked for again."""

from pathlib import Path

from tests.longrun.processes import Process, eventually
from tests.premises import Premises
from tests.standin import ledger, set_faults

PIPELINES = """
[defaults]
model = "claude-sonnet-4-6"

[[pipelines]]
name = "calls"
match = ["**/*.wav"]

[[pipelines.prompts]]
name = "coaching"
messages = [
  { role = "user", content = "First: what was promised?\\n\\n{{ transcript }}" },
  { role = "assistant" },
  { role = "user", content = "Second: name one lesson." },
]

[[pipelines.prompts]]
name = "triage"
prompt = "Classify the call.\\n\\n{{ transcript }}"

[pipelines.prompts.schema]
type = "object"
additionalProperties = false
required = ["mood"]
properties = { mood = { type = "string" } }
"""
CORRECTED = "That is not a valid answer"


def test_killed_between_two_requests_of_a_prompt_none_that_arrived_is_made_again(tmp_path: Path, standin: str) -> None:
    premises = Premises(tmp_path, standin, AFTERWORD_LEASE="2")
    premises.pipelines(PIPELINES)
    set_faults(
        standin,
        {"on": "ask", "do": "say", "content": "{}", "match": {"contains": "Classify"}, "times": 1},
        {"on": "ask", "do": "slow", "seconds": 1.5, "match": {"contains": "Second:"}, "times": 1},
        {"on": "ask", "do": "slow", "seconds": 1.5, "match": {"contains": CORRECTED}, "times": 1},
    )
    with Process(premises, "killed") as killed:
        premises.drop("one.wav", "What arrived is not asked for again.")
        eventually(lambda: len(premises.files("requests/*.json")) == 2 and ledger(standin)["calls"]["ask"] == 4)
        killed.kill()
    with Process(premises, "next"):
        eventually(premises.events)
    (event,) = premises.events()
    assert event["data"]["outcome"] == "complete"
    # The first two once; the other two were in flight, and may have been billed before the kill.
    digests = [ask["prompt_digest"] for ask in ledger(standin)["asks"]]
    assert len(set(digests)) == 4
    assert [digests.count(digest) for digest in digests[:2]] == [1, 1]
    assert len(premises.files("requests/*.json")) == 2
