"""How much sharing commits is worth, and whether one process starves another.

`python -m tests.benchmarks.callbacks_commit` compares callbacks that share commits with a commit for each;
`python -m tests.benchmarks.callbacks_commit FILE SECONDS CALLERS` keeps FILE busy and prints one JSON line.
"""

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from service.adapters.jobs.sqlite import open_store
from service.domain.job import STEPS, Status
from service.engine.row import Callback, Row, RowId

ROWS = 1_000


@dataclass(frozen=True)
class Figures:
    """Callbacks stored a second, and the slowest of them in seconds."""

    rate: float
    slowest: float


async def hammer(path: Path, seconds: float, callers: int) -> Figures:
    """So many callers, each storing one callback after another."""
    random = Random(1)
    async with open_store(path, steps=STEPS, lease=30.0, clock=time.time, random=random) as store:
        now = time.time()
        facts = {"filler": "x" * 2_000}
        rows = [
            Row(
                id=RowId(f"job_{number}"),
                status=Status.SUBMITTED,
                facts=facts,
                created_at=now,
                updated_at=now,
                due_at=now + 600,
            )
            for number in range(ROWS)
        ]
        await asyncio.gather(*(store.table.add(row) for row in rows))
        took: list[float] = []
        ends = time.monotonic() + seconds

        async def call() -> None:
            while (began := time.monotonic()) < ends:
                await store.table.call_back(Callback(row_id=random.choice(rows).id, subject="tr"))
                took.append(time.monotonic() - began)

        await asyncio.gather(*(call() for _ in range(callers)))
        return Figures(rate=len(took) / seconds, slowest=max(took))


def main() -> None:
    if len(sys.argv) == 4:
        figures = asyncio.run(hammer(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
        print(json.dumps(asdict(figures)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for callers in (1, 8, 64, 256):
            figures = asyncio.run(hammer(Path(folder) / f"{callers}.db", 3.0, callers))
            print(f"{callers:4} callers: {figures.rate:8.0f} callbacks/s, slowest {figures.slowest * 1000:6.1f} ms")


if __name__ == "__main__":
    main()
