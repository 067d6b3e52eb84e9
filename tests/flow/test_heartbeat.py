"""The service tells how things stand for as long as it runs."""

import time

import pytest
from structlog.testing import capture_logs

from service.serve import running
from tests.premises import Premises, eventually

pytestmark = pytest.mark.anyio


async def test_the_service_beats_from_its_start_on_and_tells_what_became_of_a_recording(premises: Premises) -> None:
    settings = premises.settings
    with capture_logs() as lines:
        async with running(settings, premises.loaded, heartbeat_every=0.1):

            def beats() -> list[dict[str, object]]:
                return [dict(line) for line in lines if line["event"] == "service.heartbeat"]

            await eventually(lambda: len(beats()) >= 2)
            assert beats()[0]["jobs"] == dict.fromkeys(beats()[0]["jobs"], 0)  # type: ignore[arg-type]
            premises.drop("a.wav", "One that is told of.")
            await eventually(lambda: beats()[-1]["jobs"]["published"] == 1)  # type: ignore[index]
            assert {beat["store_up"] for beat in beats()} == {True}
            assert beats()[-1]["waiting"] == 0
    told = len(beats())
    time.sleep(0.25)
    assert len(beats()) == told
