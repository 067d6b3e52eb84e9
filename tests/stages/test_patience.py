"""How long an answer may take: what is given up half written is billed, and asked for again."""

import pytest

from service.stages.asking.requests import within


@pytest.mark.parametrize(("room", "seconds"), [(None, 300), (1_000, 300), (20_000, 500), (100_000, 900)])
def test_an_answer_with_much_room_may_take_longer(room: int | None, seconds: float) -> None:
    assert within({"model": "m", **({} if room is None else {"max_tokens": room})}) == seconds
