"""What is used adds up: over the parts of a shared request, over answers, and in dollars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.models.catalogue import Model
from service.domain.use.prices import answer_cost, speech_cost
from service.domain.use.usage import Usage, nanodollars, shares, split, summed

COUNT = st.integers(0, 10_000_000)
WEIGHTS = st.lists(st.integers(0, 100_000), min_size=1, max_size=12)
USAGES = st.builds(
    Usage,
    input_tokens=COUNT,
    output_tokens=COUNT,
    total_tokens=COUNT,
    requests=st.integers(0, 5),
    cached_input_tokens=COUNT,
    cache_written_tokens=COUNT,
    reasoning_tokens=COUNT,
    estimated_cost=st.none() | st.integers(0, 10**13).map(lambda nano: round(nano / 1e9, 9)),
)
PRICED = Model(id="m", input_price=3e-6, output_price=15e-6, regional_surcharge=0.1)


@given(USAGES, WEIGHTS)
def test_the_parts_of_a_shared_request_are_the_whole_again(whole: Usage, weights: list[int]) -> None:
    parts = split(whole, weights)
    assert len(parts) == len(weights)
    assert summed(parts) == whole
    assert sum(nanodollars(part.estimated_cost or 0.0) for part in parts) == nanodollars(whole.estimated_cost or 0.0)


@given(COUNT, WEIGHTS)
def test_nobody_gets_more_than_one_beside_their_share(amount: int, weights: list[int]) -> None:
    among = weights if any(weights) else [1] * len(weights)
    for part, weight in zip(shares(amount, weights), among, strict=True):
        assert abs(part * sum(among) - amount * weight) < sum(among)


def test_a_request_that_is_shared_counts_with_the_heaviest_and_ties_go_to_the_first() -> None:
    whole = Usage(input_tokens=10, output_tokens=5, total_tokens=15, requests=1)
    assert [part.requests for part in split(whole, [1, 3, 2])] == [0, 1, 0]
    assert [part.input_tokens for part in split(whole, [0, 0, 0])] == [4, 3, 3]


@pytest.mark.parametrize("weights", [[], [1, -1]])
def test_nothing_is_shared_with_nobody(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="nobody"):
        split(Usage(), weights)


def test_costs_that_are_not_known_add_nothing_and_are_absent_where_none_is() -> None:
    assert summed([Usage(), Usage(input_tokens=1)]).estimated_cost is None
    assert summed([Usage(estimated_cost=0.1), Usage(), Usage(estimated_cost=0.2)]).estimated_cost == 0.3
    assert "estimated_cost" not in Usage().told()


@pytest.mark.parametrize(
    ("usage", "model", "region", "cost"),
    [
        (Usage(input_tokens=1000, output_tokens=100), PRICED, "global", 0.0045),
        (Usage(input_tokens=1000, output_tokens=100), PRICED, None, 0.00495),
        (Usage(input_tokens=1000, cached_input_tokens=900), PRICED, "global", 0.003),
        (
            Usage(input_tokens=1000, cached_input_tokens=800, cache_written_tokens=100),
            PRICED.model_copy(update={"cache_read_price": 3e-7, "cache_write_price": 4e-6}),
            "global",
            0.00094,
        ),
        (Usage(input_tokens=1000), Model(id="m", input_price=3e-6), None, None),
    ],
    ids=["global", "in its region", "cached without a price of its own", "cached", "no price"],
)
def test_an_answer_costs_what_the_catalogue_says(usage: Usage, model: Model, region: str, cost: float | None) -> None:
    assert answer_cost(usage, model, region) == cost


def test_sound_is_priced_by_the_model_that_heard_it() -> None:
    assert speech_cost(1800, "universal-3-5-pro") == 0.105
    assert speech_cost(3600, "universal-2") == 0.15
    assert speech_cost(3600, "universal-9") is None
    assert speech_cost(3600, None) is None
