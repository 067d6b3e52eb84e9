"""Jobs that wait for a model's allowance: in which order they go, and what their waiting costs. In made-up time."""

from dataclasses import replace

import pytest

from service.engine.row import Lane
from tests.longrun.line import BEGAN, FROM_BEST_AT_MOST, LIMIT, WINDOW, WRITES_AT_MOST, Found, play, row

PROMPTS = 4
JOBS = 60


@pytest.fixture(scope="module")
def found() -> Found:
    """Sixty recordings are caught up on, and three fresh ones arrive meanwhile."""
    fresh = {
        seconds: replace(row(900 + number, Lane.FRESH, BEGAN + seconds), due_at=BEGAN + seconds)
        for number, seconds in enumerate((WINDOW * 1.5, WINDOW * 1.6, WINDOW * 3.5))
    }
    return play(JOBS, PROMPTS, fresh)


def test_every_request_is_made_once_and_none_is_refused(found: Found) -> None:
    assert (found.asked, found.refused) == (found.jobs * PROMPTS, 0)


def test_the_whole_allowance_is_used(found: Found) -> None:
    windows = found.asked / LIMIT
    # What the vendor tells in whole seconds costs a second of each window, and the first answer is waited for.
    assert max(found.finished.values()) <= windows * (WINDOW + 1.2) + 10


def test_waiting_is_written_once_and_no_job_is_looked_at_in_vain(found: Found) -> None:
    assert found.each <= WRITES_AT_MOST
    claims, saves = found.writes.analysis["claims"], found.writes.analysis["saves"]
    # One claim more than once and again is for those of which a window had room for a part alone.
    assert claims <= found.jobs * 2 + found.asked / LIMIT
    assert saves <= found.jobs * 3 + found.asked / LIMIT


def test_jobs_finish_one_after_the_other_as_early_as_they_can(found: Found) -> None:
    # Three fresh jobs went before those that are averaged here.
    late = len(found.finished) - JOBS
    assert found.mean <= (found.best + late * PROMPTS / LIMIT * WINDOW) * FROM_BEST_AT_MOST


def test_what_arrives_fresh_goes_before_all_that_is_caught_up_on(found: Found) -> None:
    for number, seconds in ((900, 1.5), (901, 1.6), (902, 3.5)):
        # In the window that begins after it came; an eighth of the grants is for what waits longest.
        assert found.finished[row(number).id] <= (int(seconds) + 1) * (WINDOW + 1.2) + 10
    assert sum(at > WINDOW * 4.5 for at in found.finished.values()) > JOBS / 3
