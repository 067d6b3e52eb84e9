"""Who may ask a model now, by the vendor's own headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.budget.process import ProcessBudget
from service.adapters.budget.window import LENGTH, Told, Window, blocked, grant, observed

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def headers(limit: object, remaining: object, reset: object, **more: str) -> dict[str, str]:
    told = {"x-ratelimit-limit": limit, "x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset}
    return {name: str(value) for name, value in told.items()} | more


def budget(*, share: float = 1.0, unheard: int = 4) -> tuple[ProcessBudget, Clock]:
    clock = Clock()
    return ProcessBudget(share=share, unheard=unheard, monotonic=clock), clock


async def granted(asked: ProcessBudget, model: str = "m") -> int:
    for count in range(1000):
        if await asked.take(model) > 0:
            return count
    return 1000


async def test_a_model_never_heard_of_gets_a_few_questions_until_it_answers() -> None:
    asked, _ = budget(unheard=4)
    assert await granted(asked) == 4
    asked.observe("m", {})
    assert await granted(asked) == 1000


async def test_a_model_that_never_answers_is_asked_again_a_window_later() -> None:
    asked, clock = budget(unheard=4)
    await granted(asked)
    clock.now += LENGTH
    assert await granted(asked) == 4


async def test_the_vendors_count_is_believed_until_its_window_ends() -> None:
    asked, clock = budget()
    assert await asked.take("m") == 0
    asked.observe("m", headers(30, 2, 40))
    assert await granted(asked) == 2
    assert 40 <= await asked.take("m") <= 41
    clock.now += 41
    assert await granted(asked) == 30


async def test_nothing_is_left_when_the_vendor_says_so_even_below_zero() -> None:
    asked, _ = budget()
    asked.observe("m", headers(30, -7, 12))
    assert 12 <= await asked.take("m") <= 13


async def test_answers_that_overtake_each_other_add_nothing() -> None:
    asked, _ = budget()
    asked.observe("m", headers(30, 3, 20))
    asked.observe("m", headers(30, 9, 40))
    assert await granted(asked) == 3
    assert 20 <= await asked.take("m") <= 21


async def test_a_refusal_stops_everybody_for_as_long_as_it_says() -> None:
    asked, clock = budget()
    asked.observe("m", headers(30, 30, 5))
    await asked.exhausted("m", 17.0)
    await asked.exhausted("m", 3.0)
    assert await asked.take("m") == 17.0
    clock.now += 17
    assert await asked.take("m") == 0


@pytest.mark.parametrize(("share", "most"), [(1.0, 30), (0.5, 15), (0.01, 1)])
async def test_of_a_known_limit_only_our_share_is_used(share: float, most: int) -> None:
    asked, clock = budget(share=share)
    asked.observe("m", headers(30, 30, 60))
    assert await granted(asked) == most
    clock.now += 61
    assert await granted(asked) == most


async def test_what_others_left_is_all_there_is_whatever_our_share() -> None:
    asked, _ = budget(share=0.5)
    asked.observe("m", headers(30, 3, 60))
    assert await granted(asked) == 3


async def test_each_model_has_its_own_window_and_a_fallback_counts_for_itself() -> None:
    asked, _ = budget(unheard=1)
    assert await asked.take("first") == 0
    asked.observe("first", headers(30, 0, 60, **{"x-ratelimit-model": "second"}))
    assert await granted(asked, "second") == 0
    assert await granted(asked, "first") == 1000
    assert await granted(asked, "third") == 1


async def test_models_that_only_the_vendor_names_do_not_pile_up() -> None:
    asked, _ = budget()
    for number in range(2000):
        asked.observe("m", headers(30, 5, 60, **{"x-ratelimit-model": f"made-up-{number}"}))
    assert len(asked._windows) <= 1001


@pytest.mark.parametrize(
    "given_",
    [
        {},
        headers("many", 0, 60),
        headers(0, 0, 60),
        headers(30, "", 60),
        headers(30, 0, "99999999999"),
        headers(30, 0, -1),
        headers(30, 0, "4000"),
        headers("\u0663\u0660", 0, 60),
        headers(30, 0, 60, **{"x-ratelimit-service": "speech-understanding"}),
    ],
)
async def test_headers_that_make_no_sense_limit_nothing(given_: dict[str, str]) -> None:
    asked, _ = budget()
    asked.observe("m", given_)
    assert await granted(asked) == 1000


async def test_a_fraction_of_a_second_is_rounded_up() -> None:
    asked, _ = budget()
    asked.observe("m", headers(30, 0, "2.25"))
    assert await asked.take("m") == 4.0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.floats(0, 30)),
        st.tuples(st.just("hear"), st.integers(1, 20), st.integers(-5, 20), st.integers(0, 60)),
        st.tuples(st.just("block"), st.floats(0, 90)),
    ),
    max_size=60,
)


@given(STEPS, st.floats(0, 1), st.integers(1, 10))
async def test_a_wait_is_short_positive_and_long_enough(steps: list[tuple[str, float]], share: float, few: int) -> None:
    window, now = Window(), 0.0
    for kind, *values in steps:
        if kind == "hear":
            limit, remaining, reset = values
            window = observed(window, now, Told(limit=int(limit), remaining=int(remaining), reset=reset))
        elif kind == "block":
            window = blocked(window, now, values[0])
        else:
            now += values[0]
            window, wait = grant(window, now, share=share, unheard=few)
            assert 0 <= wait <= 91
            if wait == 0:
                assert now >= window.blocked_until
                assert window.limit is None or window.granted <= max(1, share * window.limit)
                assert window.remaining is None or window.remaining >= 0
