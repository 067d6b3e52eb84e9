"""The pipelines that are ready to copy: each loads without a doubt, and does its work against the stand-in."""

from pathlib import Path

import pytest

from service.domain.pipelines.file import load
from service.templates import starter
from tests.premises import Premises
from tests.standin import totals

pytestmark = pytest.mark.anyio

SAID = ("Thank you for calling, this is Ann.", "My kettle leaks.", "I will send another one on Friday.")
KEYS = {
    "calls": "calls/a.mp3",
    "interviews": "interviews/a.mp3",
    "meetings": "meetings/a.mp3",
    "podcasts": "podcasts/a.mp3",
}
REQUESTS = {"calls": 1, "interviews": 3, "meetings": 2, "podcasts": 2}
"""With what can share a request together: the follow-up of an interview has two turns, mail and post need an answer."""


def written(kind: str, folder: Path) -> Path:
    for name, text in starter.ready(kind).items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return folder / "pipelines.toml"


@pytest.mark.parametrize("kind", starter.kinds())
async def test_ready_pipelines_answer_every_prompt_in_as_few_requests_as_it_takes(
    premises: Premises, kind: str
) -> None:
    loaded = load(written(kind, premises.folder))
    assert loaded.warnings == ()
    (pipeline,) = loaded.pipelines.pipelines
    async with premises.serving():
        premises.drop(KEYS[kind], *SAID)
        (event,) = await premises.heard(1)
    assert event["data"]["outcome"] == "complete"
    assert list(event["data"]["answers"]) == [prompt.name for prompt in pipeline.prompts]
    assert totals(premises.standin)["asks_billed"] == REQUESTS[kind]
