"""Who may ask a model now, by the vendor's own headers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.models.allowance import (
    LATE,
    LENGTH,
    LIMIT,
    ROUNDING,
    Granted,
    Terms,
    Told,
    Window,
    allowance,
    blocked,
    given_back,
    grant,
    lasting,
    observed,
    told,
    used,
)

NOW = 1_000.0
ALL = Terms(share=1.0, unheard=4)


def headers(limit: object, remaining: object, reset: object, **more: str) -> dict[str, str]:
    said = {"x-ratelimit-limit": limit, "x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset}
    return {name: str(value) for name, value in said.items()} | more


def heard(limit: int = 30, remaining: int = 30, reset: float = 60, *, window: Window | None = None) -> Window:
    return observed(window or Window(), NOW, Told(limit=limit, remaining=remaining, reset=reset), sent_at=NOW)


def taken(window: Window, wanted: int, now: float = NOW, terms: Terms = ALL) -> tuple[Window, Granted]:
    return grant(window, now, wanted, terms)


def test_a_model_never_heard_of_gets_a_few_questions_until_it_answers() -> None:
    window, granted = taken(Window(), 10)
    assert (granted.count, granted.wait) == (4, 1.0)
    assert taken(window, 1)[1].count == 0
    assert taken(observed(window, NOW, None, sent_at=NOW), 1000)[1] == Granted(count=1000, wait=0.0, opened_at=NOW)


def test_a_model_that_never_answers_is_asked_again_a_window_later() -> None:
    window, _ = taken(Window(), 10)
    assert taken(window, 10, NOW + LENGTH)[1].count == 0
    assert taken(window, 10, NOW + LENGTH + ROUNDING)[1].count == 4


def test_several_requests_are_granted_at_once_and_what_there_is_no_room_for_waits_for_the_next_window() -> None:
    window, granted = taken(heard(), 20)
    assert (granted.count, granted.wait) == (20, 0.0)
    window, granted = taken(window, 20, NOW + 5)
    assert (granted.count, granted.wait) == (10, 56.0)
    assert taken(window, 1, NOW + 60.9)[1].count == 0
    assert taken(window, 40, NOW + 61)[1].count == 30


def test_the_vendors_count_is_believed_until_its_window_ends() -> None:
    window, granted = taken(heard(remaining=2, reset=40), 9)
    assert (granted.count, granted.wait) == (2, 41.0)
    assert taken(window, 40, NOW + 41)[1].count == 30


def test_nothing_is_left_when_the_vendor_says_so_even_below_zero() -> None:
    assert taken(heard(remaining=-7, reset=12), 1)[1] == Granted(count=0, wait=13.0, opened_at=NOW)


def test_answers_that_overtake_each_other_add_nothing() -> None:
    window = heard(remaining=9, reset=40, window=heard(remaining=3, reset=20))
    assert taken(window, 9)[1] == Granted(count=3, wait=21.0, opened_at=NOW)


def test_an_answer_that_says_what_we_counted_changes_nothing() -> None:
    window, _ = taken(heard(), 30)
    window = observed(window, NOW + 1, Told(limit=30, remaining=29, reset=60), sent_at=NOW + 0.1)
    for number in range(29):
        said = Told(limit=30, remaining=number, reset=60 - number)
        assert observed(window, NOW + number + 9, said, sent_at=NOW + number) is window
    assert observed(window, NOW + 9, None, sent_at=NOW) is window


def test_an_answer_that_took_longer_than_its_window_says_nothing_of_the_next() -> None:
    first, _ = taken(heard(), 30)
    second, _ = taken(first, 10, NOW + 62)
    late = Told(limit=30, remaining=0, reset=57)
    assert observed(second, NOW + 90, late, sent_at=NOW + 3) is second
    # Whatever it took: the seconds that it tells began when it was sent.
    slow = observed(second, NOW + 90, Told(limit=30, remaining=3, reset=50), sent_at=NOW + 71)
    assert slow.ends_at == pytest.approx(NOW + 71 + 50 + ROUNDING, abs=1.0)
    assert slow.remaining == 3


def test_what_is_granted_just_before_the_end_counts_in_the_next_window_too() -> None:
    window, _ = taken(heard(), 5)
    window, granted = taken(window, 3, NOW + 61 - LATE)
    assert granted.count == 3
    assert taken(window, 30, NOW + 61)[1].count == 27
    assert taken(window, 30, NOW + 200)[1].count == 30


def test_what_was_granted_and_not_asked_can_be_given_back_in_its_own_window_alone() -> None:
    window, granted = taken(heard(), 30)
    unused = replace(granted, count=4)
    assert taken(given_back(window, NOW, unused), 9)[1].count == 4
    assert given_back(window, NOW + 70, unused) is window
    other, _ = taken(window, 30, NOW + 70)
    assert given_back(other, NOW + 71, unused) is other


def test_a_refusal_stops_everybody_for_as_long_as_it_says() -> None:
    window = blocked(heard(reset=5), NOW, 17.0)
    assert blocked(window, NOW, 3.0) is window
    assert taken(window, 1)[1].wait == 17.0
    assert taken(window, 1, NOW + 17)[1].count == 1


def test_a_refusal_means_a_limit_even_where_none_is_ever_told() -> None:
    window = blocked(observed(Window(), NOW, None, sent_at=NOW), NOW, 60.0)
    assert taken(window, 1_000, NOW + 60)[1].count == LIMIT
    assert taken(heard(100, 100, window=window), 1_000, NOW + 60)[1].count == 100


@pytest.mark.parametrize(("share", "most"), [(1.0, 30), (0.5, 15), (0.01, 1)])
def test_of_a_known_limit_only_our_share_is_used(share: float, most: int) -> None:
    ours = Terms(share=share, unheard=4)
    window, granted = taken(heard(), 99, terms=ours)
    assert granted.count == allowance(window, ours) == used(window, NOW) == most
    assert taken(window, 99, NOW + 61, ours)[1].count == most
    assert lasting(window, 10 * most, ours) == 10 * LENGTH


def test_what_others_left_is_all_there_is_whatever_our_share() -> None:
    assert taken(heard(remaining=3), 99, terms=Terms(share=0.5))[1].count == 3


def test_how_long_the_windows_are_is_learnt_from_the_first_answer_in_one() -> None:
    window, _ = taken(heard(), 1)
    window = observed(window, NOW, Told(limit=30, remaining=29, reset=3), sent_at=NOW)
    assert taken(window, 40)[1].wait == 4.0
    window, granted = taken(window, 40, NOW + 4)
    assert granted.wait == 4.0
    assert window.ends_at == NOW + 8


@pytest.mark.parametrize(
    "said",
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
def test_headers_that_make_no_sense_tell_nothing(said: dict[str, str]) -> None:
    assert told(said) is None


def test_a_fraction_of_a_second_is_rounded_up() -> None:
    assert told(headers(30, -2, "2.25")) == Told(limit=30, remaining=-2, reset=3.0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.floats(0, 30), st.integers(1, 40)),
        st.tuples(st.just("hear"), st.integers(1, 20), st.integers(-5, 20), st.integers(0, 60), st.floats(0, 90)),
        st.tuples(st.just("block"), st.floats(0, 90)),
        st.tuples(st.just("return"), st.integers(0, 40)),
    ),
    max_size=60,
)


@given(STEPS, st.floats(0.001, 1), st.integers(1, 10))
def test_a_wait_is_short_and_positive_and_no_more_is_granted_than_there_is(
    steps: list[tuple[str, float]], share: float, few: int
) -> None:
    window, now, terms, last = Window(), NOW, Terms(share=share, unheard=few), Granted(count=0, wait=0, opened_at=0)
    for kind, *values in steps:
        if kind == "hear":
            limit, remaining, reset, took = values
            said = Told(limit=int(limit), remaining=int(remaining), reset=reset)
            window = observed(window, now, said, sent_at=now - took)
        elif kind == "block":
            window = blocked(window, now, values[0])
        elif kind == "return":
            window = given_back(window, now, replace(last, count=min(last.count, int(values[0]))))
            last = replace(last, count=0)
        else:
            now += values[0]
            window, last = grant(window, now, int(values[1]), terms)
            assert 0 <= last.count <= values[1]
            assert 0 <= last.wait <= 92
            assert (last.wait == 0) == (last.count == values[1])
            if last.count:
                assert now >= window.blocked_until
                ours = allowance(window, terms)
                assert ours is None or window.granted <= ours
                assert window.remaining is None or window.remaining >= 0
