"""A recording of two gigabytes goes through the whole service in the memory of a few pieces.

    python -m tests.longrun.upload --megabytes 2000

It is hashed when it is dropped and streamed when it is uploaded; the stand-in keeps it on disk meanwhile, so as much
must be free for temporary files. Prints the memory before, at its peak and what lies between, and exits 1 if that is
more than 20 MB. About half a minute.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.longrun.processes import Process, eventually
from tests.premises import Premises
from tests.standin import QUICK, ledger, running

MOST = 20_000_000
EVERY = 0.005


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Memory in bytes, before the large recording and at most while it was in work; and what became of it."""

    before: int
    peak: int
    uploaded: int

    @property
    def moved(self) -> int:
        return self.peak - self.before


def passed(folder: Path, url: str, size: int, within: float = 300.0) -> Passage:
    """A sparse recording of so many bytes, from its drop to its event, in a service that is warm already."""
    premises = Premises(folder, url)
    with Process(premises) as service:
        premises.drop("warm.wav", "A small one first.")
        eventually(lambda: len(premises.events()) == 1)
        before = peak = service.memory()
        large = premises.inbox / "large.wav"
        with large.open("wb") as sparse:
            sparse.truncate(size)
        ends = time.monotonic() + within
        while len(premises.events()) < 2:
            assert time.monotonic() < ends, "it did not come through"
            peak = max(peak, service.memory())
            time.sleep(EVERY)
    large.unlink()
    upload = ledger(url)["uploads"][-1]
    return Passage(
        before=before,
        peak=peak,
        uploaded=upload["bytes"],
    )


def main() -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=2000)
    size = parser.parse_args().megabytes * 1_000_000
    with tempfile.TemporaryDirectory() as folder, running(QUICK) as url:
        passage = passed(Path(folder), url, size)
    print(f"{passage.uploaded:,} bytes uploaded")
    print(f"memory before {passage.before / 1e6:.1f} MB, peak {passage.peak / 1e6:.1f} MB")
    print(f"moved by {passage.moved / 1e6:.1f} MB of {MOST / 1e6:.0f}")
    return 0 if passage.moved <= MOST and passage.uploaded == size else 1


if __name__ == "__main__":
    sys.exit(main())
