"""The catalogue of models as the service hears it: it starts without, tells each change once, and stops for nothing."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.domain.pipelines.file import load
from service.serve import Addresses, running
from tests.premises import Premises, eventually
from tests.standin import clear_faults, set_faults

pytestmark = pytest.mark.anyio

PIPELINES = """
[defaults]
model = "claude-sonnet-4-6"

[[pipelines]]
name = "calls"
match = ["**/*.wav"]

[[pipelines.prompts]]
name = "summary"
prompt = "Summarize the call.\\n\\n{{ transcript }}"

[[pipelines.prompts]]
name = "mood"
required = false
model = "gpt-4.1"
temperature = 0.0
prompt = "Name the mood.\\n\\n{{ transcript }}"
"""
MOOD = "pipelines.toml:16 pipelines[calls].prompts[mood]"

Lines = list[MutableMapping[str, Any]]


@asynccontextmanager
async def serving(premises: Premises, every: float = 1.0) -> AsyncIterator[tuple[Addresses, Lines]]:
    """The service with what it logs, the catalogue heard anew every so many seconds."""
    premises.pipelines(PIPELINES)
    loaded = load(premises.folder / "pipelines.toml")
    with capture_logs() as lines:
        async with running(
            premises.settings, loaded.pipelines, whereabouts=loaded.whereabouts, catalogue_every=every
        ) as (addresses, failed):
            yield addresses, lines
            assert not failed.done()


def told(lines: Lines, name: str) -> Lines:
    return [line for line in lines if line["event"] == name]


async def heard(premises: Premises, addresses: Addresses) -> float:
    """When the catalogue was last heard."""
    return await premises.metric(addresses, "afterword_catalogue_heard_timestamp_seconds")


async def test_the_service_starts_and_works_without_the_catalogue_and_picks_it_up_later(premises: Premises) -> None:
    set_faults(premises.standin, {"on": "models", "do": "status", "status": 503})
    async with serving(premises) as (addresses, lines):
        premises.drop("a.wav", "Hello.")
        (event,) = await premises.heard(1)
        assert event["data"]["outcome"] == "complete"
        await eventually(lambda: bool(told(lines, "catalogue.unheard")))
        assert await heard(premises, addresses) == 0
        assert not told(lines, "catalogue.heard")
        clear_faults(premises.standin)
        await eventually(lambda: bool(told(lines, "catalogue.heard")))
        assert await heard(premises, addresses) > 0
    assert len(told(lines, "catalogue.unheard")) == 1
    assert not told(lines, "model.doubted")


async def test_a_change_while_running_hurts_only_the_prompt_that_it_touches_and_is_told_once(
    premises: Premises,
) -> None:
    # Long before the catalogue would be heard anew, the refused question makes it be heard.
    async with serving(premises, every=20.0) as (addresses, lines):
        await eventually(lambda: bool(told(lines, "catalogue.heard")))
        set_faults(premises.standin, {"do": "retire", "model": "gpt-4.1"})
        for number, name in enumerate(("a.wav", "b.wav"), 1):
            premises.drop(name, f"Hello from {name}.")
            event = (await premises.heard(number))[-1]
            assert event["data"]["outcome"] == "partial"
            answers = event["data"]["answers"]
            assert "content" in answers["summary"]
            assert answers["mood"]["error"]["code"] == "prompt_rejected"
        await eventually(lambda: bool(told(lines, "model.doubted")))
        assert await premises.metric(addresses, "afterword_model_doubts") == 1
    (doubted,) = told(lines, "model.doubted")
    assert doubted == {
        "event": "model.doubted",
        "log_level": "error",
        "place": f"{MOOD}.model",
        "what": "the LLM Gateway offers no model `gpt-4.1`",
        "cure": "use `gpt-oss-120b`, the nearest that would do",
    }


async def test_each_finding_is_told_once_and_once_that_it_is_over(premises: Premises) -> None:
    async with serving(premises, every=0.1) as (addresses, lines):
        await eventually(lambda: bool(told(lines, "catalogue.heard")))
        set_faults(premises.standin, {"do": "withdraw", "model": "gpt-4.1", "parameter": "temperature"})
        await eventually(lambda: bool(told(lines, "model.doubted")))
        told_at = await heard(premises, addresses)
        async with asyncio.timeout(30):
            while await heard(premises, addresses) < told_at + 0.3:
                pass
        assert await premises.metric(addresses, "afterword_model_doubts") == 1
        clear_faults(premises.standin)
        await eventually(lambda: bool(told(lines, "model.cleared")))
        assert await premises.metric(addresses, "afterword_model_doubts") == 0
    (doubted,) = told(lines, "model.doubted")
    assert doubted["place"] == "pipelines.toml:17 pipelines[calls].prompts[mood].temperature"
    (cleared,) = told(lines, "model.cleared")
    assert (cleared["place"], cleared["what"]) == (doubted["place"], doubted["what"])
    assert len(told(lines, "catalogue.heard")) == 1
