"""Three processes share one model's allowance over a backlog: how much of it they use, and what is refused.

    python -m tests.longrun.fleet                    # SQLite; ten minutes
    python -m tests.longrun.fleet --engine aws       # jobs in DynamoDB, an emulator on this machine

Recordings with four prompts each are caught up on by `submit --recursive`, against the stand-in at 30 requests a
window; in the middle a fresh one is dropped. Printed is what the stand-in counted; exits 1 if less than 95 % of the
allowance was used over the busy time, more than 1 % was refused, a job failed, or the fresh one had to wait for others.
A shorter `--window` loses more: the vendor tells of its windows in whole seconds, so each costs a second more.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from service.adapters.jobs.dynamodb_schema import definition
from tests.emulator import emulating
from tests.longrun.processes import Process, beside, eventually, rows
from tests.premises import Premises
from tests.standin import QUICK, ledger, running, write_script

LIMIT = 30
PROMPTS = 4
REPLICAS = 3
USED_AT_LEAST = 0.95
REFUSED_AT_MOST = 0.01
MODEL = "claude-sonnet-4-6"
PIPELINES = f"""
[defaults]
model = "{MODEL}"
max_tokens = 50

[[pipelines]]
name = "calls"
match = ["**/*.wav"]
""" + "".join(
    f'[[pipelines.prompts]]\nname = "p{number}"\nprompt = "{number}: {{{{ transcript }}}}"\n'
    for number in range(PROMPTS)
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the stand-in and the job store told at the end. `after` jobs were finished later than the fresh one."""

    asks: Sequence[float]
    refused: int
    window: float
    outcomes: Mapping[str, int]
    fresh_took: float
    after: int

    @property
    def windows(self) -> Sequence[int]:
        """How many requests each of the vendor's windows took."""
        return windows(self.asks, self.window)

    @property
    def by_windows(self) -> float:
        """The part that was used of all windows that were begun."""
        return len(self.asks) / (LIMIT * len(self.windows))

    @property
    def by_time(self) -> float:
        """The part that was used of what could have been asked from the first request on, second by second."""
        busy = self.asks[-1] - self.asks[0]
        full = len(self.asks) - self.windows[-1]
        return full / (LIMIT * busy / self.window) if busy > self.window else 1.0

    @property
    def good(self) -> bool:
        asked = len(self.asks) + self.refused
        used = min(self.by_windows, self.by_time) >= USED_AT_LEAST
        alike = set(self.outcomes) == {"complete"}
        return used and self.refused <= REFUSED_AT_MOST * asked and alike and self.after > 0


def windows(asks: Sequence[float], seconds: float) -> Sequence[int]:
    """How many of these moments each window takes, which begins with the first that comes after the one before."""
    counts: list[int] = []
    ends = -math.inf
    for at in sorted(asks):
        if at >= ends:
            counts.append(0)
            ends = at + seconds
        counts[-1] += 1
    return counts


def caught_up(folder: Path, url: str, jobs: int, window: float, settings: Mapping[str, str]) -> Found:
    """A backlog of so many recordings, and a fresh one once a third of them is finished."""
    premises = Premises(folder, url, **settings)
    premises.pipelines(PIPELINES)
    for number in range(jobs):
        write_script(folder / "archive" / f"{number}.wav", f"This is number {number} of the archive.")
    with ExitStack() as stack:
        for number in range(REPLICAS):
            more = beside(premises) if number else {}
            stack.enter_context(Process(premises, f"replica-{number}", more))
        submit(premises, folder / "archive")
        patience = (jobs * PROMPTS / LIMIT + 3) * (window + 5)
        eventually(lambda: len(premises.events()) >= jobs // 3, within=patience, every=0.25)
        dropped = time.time()
        premises.drop("fresh.wav", "This one has just come in.")
        eventually(lambda: len(premises.events()) > jobs, within=patience, every=0.25)
        eventually(lambda: all(row.ended for row in rows(premises).values()))
    return told(premises, url, window, dropped)


def submit(premises: Premises, archive: Path) -> None:
    ours = {**os.environ, **premises.environment}
    command = [sys.executable, "-m", "service", "submit", "--recursive", str(archive), "--yes"]
    subprocess.run(
        command, cwd=premises.folder, env=ours, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def told(premises: Premises, url: str, window: float, dropped: float) -> Found:
    book, events = ledger(url), premises.events()
    names = [event["data"]["recording"]["name"] for event in events]
    (fresh,) = (event for event in events if event["data"]["recording"]["name"] == "fresh.wav")
    outcomes: dict[str, int] = {}
    for event in events:
        outcomes[event["data"]["outcome"]] = outcomes.get(event["data"]["outcome"], 0) + 1
    return Found(
        asks=sorted(moment(ask["at"]) for ask in book["asks"]),
        refused=sum(each["count"] for each in book["refused"] if each["on"] == "ask"),
        window=window,
        outcomes=outcomes,
        fresh_took=moment(fresh["time"]) - dropped,
        after=len(names) - 1 - names.index("fresh.wav"),
    )


def moment(text: Any) -> float:
    return datetime.fromisoformat(str(text)).timestamp()


@contextmanager
def engine(name: str, folder: Path) -> Iterator[Mapping[str, str]]:
    """The settings of the job store; the emulator's address is in the environment meanwhile."""
    if name == "sqlite":
        yield {}
        return
    with emulating(folder / "emulator.log") as emulator:
        os.environ.update(emulator.environment)
        emulator.client("dynamodb").create_table(**definition("fleet"))
        yield {"AFTERWORD_JOBS": "dynamodb://fleet"}


def main() -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["sqlite", "aws"], default="sqlite")
    parser.add_argument("--jobs", type=int, default=74)
    parser.add_argument("--window", type=float, default=60.0, help="seconds")
    asked = parser.parse_args()
    options = replace(QUICK, gateway_limit=LIMIT, gateway_window_seconds=asked.window)
    with (
        tempfile.TemporaryDirectory() as place,
        running(options) as url,
        engine(asked.engine, Path(place)) as settings,
    ):
        found = caught_up(Path(place), url, asked.jobs, asked.window, settings)
    print(f"{REPLICAS} processes, {asked.jobs + 1} recordings, {len(found.asks)} requests, {asked.engine}")
    print(f"windows of {asked.window:g} s took {json.dumps(found.windows)}")
    print(f"used: {found.by_windows:.1%} of the windows begun, {found.by_time:.1%} of the busy time's allowance")
    print(f"refused: {found.refused}; outcomes: {json.dumps(found.outcomes)}")
    print(f"the fresh recording took {found.fresh_took:.0f} s; {found.after} of the archive were finished after it")
    return 0 if found.good else 1


if __name__ == "__main__":
    sys.exit(main())
