"""Waiting costs nothing: with a thousand recordings at the vendor the process weighs and asks as with ten."""

from pathlib import Path

from tests.longrun.waiting import FEW, FRESH, MORE_MEMORY, weighed

MANY = 1000


def test_a_thousand_that_wait_weigh_and_ask_as_much_as_ten(tmp_path: Path, standin: str) -> None:
    few, many = (weighed(tmp_path / str(count), standin, count, rest=1.0) for count in (FEW, MANY))
    # The fresh ones that went through meanwhile are all that was asked about.
    assert many.calls == few.calls
    assert (many.calls["submit"], many.calls["ask"], many.calls["list"]) == (FRESH, 3 * FRESH, 0)
    assert many.memory <= few.memory * MORE_MEMORY
