"""No callback at all: every job still completes, and the vendor is polled at most five times a second."""

from pathlib import Path

import pytest

from tests.longrun.processes import Process, audit
from tests.longrun.silence import burst, watched
from tests.premises import Premises
from tests.standin import set_faults

JOBS = 14


@pytest.mark.parametrize("asked", [True, False], ids=["all callbacks lost", "no public URL"])
def test_without_callbacks_everything_completes_within_the_bounds(tmp_path: Path, standin: str, asked: bool) -> None:
    premises = Premises(tmp_path, standin, callbacks=asked)
    set_faults(standin, {"on": "webhook", "do": "lose"})
    for number in range(JOBS):
        premises.drop(f"{number}.wav", f"Nobody calls about number {number}.")
    with Process(premises) as service:
        polled = watched(standin, lambda: len(premises.events()) >= JOBS)
    assert polled[-1].polls >= JOBS
    assert len(service.lines("callback.lost")) == (JOBS if asked else 0)
    assert burst(polled) <= 5, "more polls than five a second and a burst of one second's"
    found = audit(premises, JOBS)
    assert found["totals"]["callbacks"]["delivered"] == 0
