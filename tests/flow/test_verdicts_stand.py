"""A verdict that is on the row stands, whatever goes wrong while it is told and the vendor is made to forget."""

import asyncio
import json

import pytest

from tests.longrun.processes import calls
from tests.premises import PIPELINES, Premises, until
from tests.standin import clear_faults, set_faults

pytestmark = pytest.mark.anyio

WATCHED = 2.0
TRIES_AT_MOST = 5
"""In two seconds, with pauses that begin at a second and double."""


async def test_a_deletion_that_is_refused_neither_changes_the_verdict_nor_is_hammered(premises: Premises) -> None:
    premises.pipelines(PIPELINES + "\n[pipelines.outputs]\nkeep_transcript = false\n")
    set_faults(premises.standin, {"on": "delete", "do": "status", "status": 409, "message": "It is being exported."})
    async with premises.serving():
        premises.drop("one.wav", "Told, and not to be forgotten yet.")
        (event,) = await premises.heard(1)
        assert event["data"]["outcome"] == "complete"
        await asyncio.sleep(WATCHED)
        assert 1 <= calls(premises.standin, "delete") <= TRIES_AT_MOST
        clear_faults(premises.standin)

        async def ended() -> bool:
            return (await premises.rows())["one.wav"].ended

        await until(ended)
    row = (await premises.rows())["one.wav"]
    assert row.status == "published"
    assert row.facts["verdict"]["outcome"] == "complete"
    (result,) = premises.files("result.json")
    assert json.loads(result.read_bytes())["outcome"] == "complete"
    assert len(premises.events()) == 1
