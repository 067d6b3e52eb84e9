"""No callback ever comes, and hundreds wait: everything completes, and nobody is asked more than five times a second.

    python -m tests.longrun.silence --recordings 300

About a minute: each recording takes a look at it, and now and then one at the vendor's list tells which callbacks were
lost. Prints the polls of every ten seconds and the worst burst; exits 1 if the bound was broken.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.longrun.processes import Process, audit, polls
from tests.premises import Premises
from tests.standin import QUICK, running, set_faults

PER_SECOND = 5.0
EVERY = 0.1


@dataclass(frozen=True)
class Seen:
    """How many polls the stand-in had had by then."""

    at: float
    polls: int


def watched(url: str, until: Callable[[], bool], within: float = 600.0) -> Sequence[Seen]:
    """The stand-in's count of polls, over and over until it is over."""
    seen = [Seen(time.monotonic(), polls(url))]
    while not until():
        assert seen[-1].at - seen[0].at < within, "not everything completed"
        time.sleep(EVERY)
        # The moment before it is asked: a slow answer must not make the pace look gentler than it was.
        seen.append(Seen(time.monotonic(), polls(url)))
    return seen


def burst(seen: Sequence[Seen]) -> float:
    """The most polls beyond five a second in any stretch of time; what was seen late counts as if it were in time."""
    worst, least = 0.0, float("inf")
    for sight in seen:
        debt = sight.polls - PER_SECOND * sight.at
        least = min(least, debt)
        worst = max(worst, debt - least)
    return worst


def main() -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=300)
    parser.add_argument("--no-public-url", action="store_true", help="no webhook is asked for, instead of all lost")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(replace(QUICK, gateway_limit=1_000_000)) as url:
        premises = Premises(Path(folder), url, callbacks=not asked.no_public_url)
        set_faults(url, {"on": "webhook", "do": "lose"})
        for number in range(asked.recordings):
            premises.drop(f"{number}.wav", f"Nobody calls about number {number}.")
        with Process(premises):
            seen = watched(url, lambda: len(premises.events()) >= asked.recordings)
        audit(premises, asked.recordings)
    for second in range(0, int(seen[-1].at - seen[0].at) + 1, 10):
        within = [sight.polls for sight in seen if second <= sight.at - seen[0].at <= second + 10]
        print(f"second {second:4}: {within[-1] - within[0]:4} polls in 10 s")
    print(f"{asked.recordings} recordings completed; {seen[-1].polls} polls in {seen[-1].at - seen[0].at:.0f} s")
    print(f"worst burst beyond {PER_SECOND:g} a second: {burst(seen):.1f}")
    return 0 if burst(seen) <= PER_SECOND else 1


if __name__ == "__main__":
    sys.exit(main())
