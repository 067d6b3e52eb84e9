"""Where a job waits that found no budget: decided whatever state the store is in."""

from types import SimpleNamespace

import pytest

from service.domain.models.allowance import queue_of
from service.engine.errors import StoreTrouble
from service.stages.analyze import AT_THE_LATEST, InLine, _line
from service.stages.asking.purse import Queued

pytestmark = pytest.mark.anyio

NOW = 1_000.0


async def away(_: str) -> float:
    raise StoreTrouble("the store is away")


async def test_what_came_of_the_other_prompts_is_saved_though_the_store_cannot_say_how_long_the_wait_is() -> None:
    context = SimpleNamespace(now=lambda: NOW, ports=SimpleNamespace(budget=SimpleNamespace(wait=away)))
    line = await _line([Queued("m", 3.0)], context)
    assert line == InLine(queue=queue_of("m"), wants=1, until=NOW + AT_THE_LATEST)
