"""New questions to recordings that have been through: only what has no answer yet is asked, nothing is transcribed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.cli.finished import Selection
from service.cli.reanalysis import Order, reanalyzed
from service.domain.globs import parse
from tests.cloud import Cloud
from tests.premises import Premises, until
from tests.standin import ledger, set_faults, totals

pytestmark = pytest.mark.anyio

PIPELINES = """
[defaults]
model = "claude-sonnet-4-6"
max_tokens = 400

[[pipelines]]
name = "calls"
match = ["**/*.wav"]

[[pipelines.prompts]]
name = "summary"
prompt = "Summarize the call.\\n\\n{{ transcript }}"

[[pipelines.prompts]]
name = "next-steps"
prompt = "After {{ answers.summary }}: what is next?"

[[pipelines.prompts]]
name = "mood"
required = false
prompt = "Name the mood.\\n\\n{{ transcript }}"

[[pipelines.prompts]]
name = "topics"
prompt = "List the topics.\\n\\n{{ transcript }}"
"""
SHORTER = PIPELINES.replace("Summarize the call.", "Summarize the call in one sentence.")


@pytest.fixture(params=["on this machine", "on aws"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path, standin: str) -> Premises:
    if request.param == "on aws":
        return Cloud(tmp_path, standin, request.getfixturevalue("emulator"))
    return Premises(tmp_path, standin)


async def test_a_changed_summary_and_what_uses_it_are_asked_again_and_nothing_else(anywhere: Premises) -> None:
    premises = anywhere
    premises.pipelines(PIPELINES)
    async with premises.serving():
        premises.drop("north/one.wav", "The kettle leaks.", "We send another one on Friday.")
        await premises.heard(1)
        await ended(premises)
        before = {key: premises.stored(key) for key in premises.keys(".json")}
        # The service still has the old file: what is asked is what the person saw who read the new one.
        premises.pipelines(SHORTER)
        assert await asked(premises) == 0
        first, second = await premises.heard(2)
        await ended(premises)
        assert await asked(premises) == 0
    assert [(event["data"]["run"], event["data"]["outcome"]) for event in (first, second)] == [
        (1, "complete"),
        (2, "complete"),
    ]
    assert first["id"] != second["id"]
    assert first["data"]["pipeline_digest"] != second["data"]["pipeline_digest"]
    one, two = (json.loads(premises.stored(key))["request_ids"] for key in premises.keys("result.json"))
    assert {name for name in two if two[name] == one[name]} == {"mood", "topics"}
    found = ledger(premises.standin)
    assert len(found["asks"]) == 4 + 2
    assert found["totals"]["submissions"] == found["totals"]["transcripts_billed"] == 1
    assert found["refused"] == []
    # Run 1 stands as it was; run 2 has everything that its own result tells of.
    assert {key: premises.stored(key) for key in before} == before
    assert [key.partition("/runs/2/")[2] for key in premises.keys("/runs/2/")] == [
        "answers/mood.json",
        "answers/next-steps.json",
        "answers/summary.json",
        "answers/topics.json",
        "result.json",
    ]
    assert len(premises.events()) == 2


async def test_looking_first_sends_nothing_on_and_tells_what_it_would_take(
    premises: Premises, capsys: pytest.CaptureFixture[str]
) -> None:
    premises.pipelines(PIPELINES)
    async with premises.serving():
        for name in ("north/one.wav", "north/two.wav", "south/three.wav"):
            premises.drop(name, f"This is {name}.", "I hear you.")
        await premises.heard(3)
        await ended(premises)
        premises.pipelines(SHORTER)
        async with premises.store() as store:
            await store.budgets.change("claude-sonnet-4-6", lambda window: replace(window, limit=30))
        capsys.readouterr()
        assert await asked(premises, selected("NORTH/*"), dry_run=True) == 0
        found = json.loads(capsys.readouterr().out)
        premises.environment["AFTERWORD_LLM_SHARE"] = "0.25"
        assert await asked(premises, selected("NORTH/*"), dry_run=True) == 0
        assert json.loads(capsys.readouterr().out)["seconds"] == round(4 * 60 / 7), "a quarter of 30 a minute is ours"
    assert (found["dry_run"], found["recordings"], found["requests"], found["seconds"]) == (True, 2, 4, 8)
    assert [(each["prompt"], each["model"], each["requests"]) for each in found["prompts"]] == [
        ("next-steps", "claude-sonnet-4-6", 2),
        ("summary", "claude-sonnet-4-6", 2),
    ]
    assert found["input_tokens"] == sum(each["input_tokens"] for each in found["prompts"]) > 4
    assert len(premises.events()) == 3
    assert all(row.ended for row in (await premises.rows()).values())


async def test_a_recording_that_a_new_prompt_cannot_be_asked_of_is_left_as_it_is(
    premises: Premises, capsys: pytest.CaptureFixture[str]
) -> None:
    premises.pipelines(PIPELINES)
    async with premises.serving():
        premises.drop("one.wav", "The kettle leaks.", "We send another one on Friday.")
        await premises.heard(1)
        await ended(premises)
        labelled = 'match = ["**/*.wav"]\n[pipelines.transcript]\nspeaker_labels = true'
        by_speaker = '[[pipelines.prompts]]\nname = "who"\nprompt = "Who leads?\\n\\n{{ utterances }}"\n'
        premises.pipelines(SHORTER.replace('match = ["**/*.wav"]', labelled) + by_speaker)
        capsys.readouterr()
        assert await asked(premises) == 0
        said = capsys.readouterr()
        assert json.loads(said.out)["left_alone"] == {"unfit": 1}
        assert "prompt who of calls: The transcript has no utterances" in said.err
        # Nobody needs the answer: the others are asked.
        premises.pipelines(SHORTER.replace('match = ["**/*.wav"]', labelled) + by_speaker + "required = false\n")
        assert await asked(premises) == 0
        _, second = await premises.heard(2)
    assert second["data"]["outcome"] == "partial"
    assert second["data"]["answers"]["who"]["error"]["code"] == "prompt_failed"
    assert totals(premises.standin)["asks_billed"] == 4 + 2


async def test_a_run_that_failed_on_todays_pipeline_is_not_begun_again_by_repeating_the_command(
    premises: Premises,
) -> None:
    premises.pipelines(PIPELINES)
    refusal = {"status": 400, "message": "that is too much", "envelope": "handler"}
    async with premises.serving():
        premises.drop("one.wav", "The kettle leaks.", "We send another one on Friday.")
        await premises.heard(1)
        await ended(premises)
        set_faults(premises.standin, {"on": "ask", "do": "status", "match": {"contains": "in one sentence"}, **refusal})
        premises.pipelines(SHORTER)
        assert await asked(premises, wait=True) == 1
        assert await asked(premises, wait=True) == 0
    assert [event["data"]["outcome"] for event in premises.events()] == ["complete", "failed"]
    (row,) = (await premises.rows()).values()
    assert (row.status, row.facts["run"]) == ("failed", 2)


async def ended(premises: Premises) -> None:
    """The event is out before the row has ended."""

    async def all_have() -> bool:
        return all(row.ended for row in (await premises.rows()).values())

    await until(all_have)


def selected(key: str = "**", **more: Any) -> Selection:
    return Selection(**{"names": (), "pipeline": None, "since": None, "until": None, "key": parse(key), **more})


async def asked(premises: Premises, selection: Selection | None = None, **more: Any) -> int:
    """`afterword jobs reanalyze --yes`; its exit code."""
    order = Order(
        selection=selection or selected(), **{"dry_run": False, "yes": True, "wait": False, "json": True, **more}
    )
    return await reanalyzed(premises.settings, order)


async def test_paragraphs_that_were_never_asked_about_are_ours_where_the_vendor_has_the_transcript_no_longer(
    premises: Premises, capsys: pytest.CaptureFixture[str]
) -> None:
    premises.pipelines(PIPELINES + "\n[pipelines.outputs]\nkeep_transcript = false\n")
    async with premises.serving():
        premises.drop("one.wav", "The kettle leaks.", "We send another one on Friday.")
        await premises.heard(1)
        await ended(premises)
        divided = '[[pipelines.prompts]]\nname = "outline"\nprompt = "Outline:\\n\\n{{ paragraphs }}"\n'
        premises.pipelines(PIPELINES + divided + "\n[pipelines.outputs]\nkeep_transcript = false\n")
        said = "Outline:\\n\\nThe kettle leaks. We send another one on Friday."
        set_faults(premises.standin, {"on": "ask", "do": "say", "content": "seen", "match": {"contains": said}})
        assert await asked(premises, dry_run=True) == 0
        assert premises.keys("paragraphs.json") == [], "looking keeps nothing"
        assert await asked(premises) == 0
        _, second = await premises.heard(2)
        await ended(premises)
        capsys.readouterr()
        # Nothing is left to ask.
        assert await asked(premises) == 0
        assert json.loads(capsys.readouterr().out)["left_alone"] == {"same": 1}
    assert second["data"]["answers"]["outline"]["content"] == "seen"
    assert totals(premises.standin)["asks_billed"] == 4 + 1
    assert "captions" not in ledger(premises.standin)["calls"]
