"""When to try again: decided without a clock and without luck."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import (
    AccountTrouble,
    Code,
    Gate,
    OutcomeUnknown,
    RecordingMissing,
    Rejected,
    StorageTrouble,
    Throttled,
    TranscriptMissing,
    Transient,
    Unavailable,
)
from service.domain.job import Failure, Trouble
from service.domain.retry import Delay, GiveUp, Retry, counted, waited

NOW = 1_800_000_000.0
HOURS = 3600.0


def trouble(attempts: int, *, ago: float = 60.0) -> Trouble:
    return Trouble(attempts=attempts, since=NOW - ago, last="before")


@pytest.mark.parametrize(
    ("error", "before", "delay"),
    [
        (Unavailable("x"), None, Delay(seconds=1.0, counts=True)),
        (Unavailable("x"), trouble(1), Delay(seconds=2.0, counts=True)),
        (Unavailable("x"), trouble(4), Delay(seconds=16.0, counts=True)),
        (Unavailable("x"), trouble(9), Delay(seconds=300.0, counts=True)),
        (Unavailable("x"), trouble(100_000), Delay(seconds=300.0, counts=True)),
        (Unavailable("x", retry_after=50.0), trouble(1), Delay(seconds=50.0, counts=True)),
        (Unavailable("x", retry_after=900.0), trouble(9), Delay(seconds=900.0, counts=True)),
        (OutcomeUnknown("x"), trouble(20), Delay(seconds=300.0, counts=True)),
        (Throttled("x", retry_after=7.0), trouble(50, ago=99 * HOURS), Delay(seconds=7.0, counts=False)),
        (Throttled("x"), None, Delay(seconds=10.0, counts=False)),
        (AccountTrouble(Gate.BALANCE, "x"), trouble(50, ago=99 * HOURS), Delay(seconds=10.0, counts=False)),
        (Unavailable("x"), trouble(50, ago=6 * HOURS), Delay(seconds=300.0, counts=True)),
    ],
)
def test_each_transient_error_waits_its_time(error: Transient, before: Trouble | None, delay: Delay) -> None:
    assert Retry().decide(error, before, now=NOW, rand=0.0) == delay


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Rejected(Code.PROMPT_REJECTED, "no"), Code.PROMPT_REJECTED),
        (RecordingMissing("no"), Code.RECORDING_MISSING),
        (TranscriptMissing("no"), Code.TRANSCRIPT_MISSING),
    ],
)
def test_what_cannot_help_is_not_tried_again(error: Rejected, code: Code) -> None:
    assert Retry().decide(error, None, now=NOW, rand=0.0) == GiveUp(failure=Failure(code=code, message="no"))


def test_trouble_that_lasts_longer_than_patience_is_given_up() -> None:
    error = Unavailable("still down", request_id="r-1")
    decided = Retry(patience=6 * HOURS).decide(error, trouble(2, ago=6 * HOURS + 1), now=NOW, rand=0.0)
    assert isinstance(decided, GiveUp)
    assert decided.failure.code is Code.VENDOR_UNAVAILABLE
    # Whose trouble it was, the vendor's or S3's, only the last words tell.
    assert decided.failure.message == "the trouble outlasted our patience; its last words: still down"
    assert decided.failure.request_id == "r-1"


@pytest.mark.parametrize(("attempts", "ends"), [(10, False), (11, True), (12, True)])
def test_what_may_be_billed_each_time_is_tried_a_bounded_number_of_times(attempts: int, ends: bool) -> None:
    before = trouble(attempts).model_copy(update={"unknown": attempts})
    decided = Retry(most_unknown=12).decide(OutcomeUnknown("x"), before, now=NOW, rand=0.0)
    assert isinstance(decided, GiveUp) is ends


def test_only_unknown_outcomes_are_numbered() -> None:
    assert isinstance(Retry(most_unknown=12).decide(Unavailable("x"), trouble(40), now=NOW, rand=0.0), Delay)
    # After an outage the first question whose answer was not seen is one, and not the fortieth.
    assert isinstance(Retry(most_unknown=12).decide(OutcomeUnknown("x"), trouble(40), now=NOW, rand=0.0), Delay)
    once = counted(OutcomeUnknown("x"), trouble(40), now=NOW)
    assert (once.attempts, once.unknown, counted(Unavailable("x"), once, now=NOW).unknown) == (41, 1, 1)


def test_trouble_keeps_when_it_began_and_its_last_words() -> None:
    first = counted(Unavailable("one"), None, now=NOW)
    assert counted(Unavailable("two"), first, now=NOW + 5) == Trouble(attempts=2, since=NOW, last="two")


TRANSIENT = st.builds(
    lambda kind, after: kind("x", retry_after=after),
    st.sampled_from([Unavailable, OutcomeUnknown, Throttled]),
    st.none() | st.floats(1, 3600),
)
BEFORE = st.none() | st.integers(1, 10_000).map(trouble)
RAND = st.floats(0, 1)


@given(TRANSIENT, BEFORE, RAND)
def test_nobody_is_asked_earlier_than_they_said(error: Transient, before: Trouble | None, rand: float) -> None:
    decided = Retry().decide(error, before, now=NOW, rand=rand)
    assert isinstance(decided, Delay)
    assert decided.seconds > 0
    assert decided.seconds >= (error.retry_after or 0.0)


@given(st.sampled_from([Unavailable("x"), OutcomeUnknown("x"), Throttled("x")]), BEFORE, RAND)
def test_without_a_wish_nobody_waits_longer_than_the_longest(
    error: Transient, before: Trouble | None, rand: float
) -> None:
    decided = Retry(longest=77.0).decide(error, before, now=NOW, rand=rand)
    assert isinstance(decided, Delay)
    assert decided.seconds <= 77.0


@given(st.integers(1, 2000), RAND, RAND, st.floats(0, 0.9))
def test_pauses_grow_but_for_the_dice(attempts: int, one: float, other: float, jitter: float) -> None:
    retry = Retry(jitter=jitter)
    earlier = retry.decide(Unavailable("x"), trouble(attempts), now=NOW, rand=one)
    later = retry.decide(Unavailable("x"), trouble(attempts + 1), now=NOW, rand=other)
    assert isinstance(earlier, Delay)
    assert isinstance(later, Delay)
    assert later.seconds >= earlier.seconds * (1 - jitter) - 1e-9


def test_a_wait_that_was_asked_for_leaves_patience_as_it_was() -> None:
    rested = waited(trouble(3, ago=5 * HOURS), 4 * HOURS)
    assert rested is not None
    assert (NOW + 4 * HOURS - rested.since, rested.attempts) == (5 * HOURS, 3)
    assert waited(None, 4 * HOURS) is None


def test_our_own_storage_uses_up_none_of_the_vendors_patience() -> None:
    full = counted(StorageTrouble("the disk is full"), trouble(9, ago=99 * HOURS), now=NOW)
    decided = Retry().decide(Unavailable("x"), full, now=NOW + 60.0, rand=0.0)
    assert decided == Delay(seconds=300.0, counts=True)
