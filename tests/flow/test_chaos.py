"""The small one of `make chaos`."""

from pathlib import Path

from tests.chaos import Plan, rampage


def test_with_faults_everywhere_and_kills_nothing_is_lost_and_nothing_is_paid_twice(tmp_path: Path) -> None:
    outcome = rampage(Plan(recordings=30, kills=3, seed=7, within=60, combine=True), tmp_path)
    assert outcome.broken == ()
    assert outcome.events >= 30
