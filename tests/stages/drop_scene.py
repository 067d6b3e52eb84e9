"""What a drop needs around it, in memory."""

from collections.abc import Sequence

import pytest

from service.domain.errors import Unavailable
from service.domain.job import Job, JobId, Kind, Recording
from service.domain.pipeline import Pipeline, Pipelines
from service.domain.places import FOLDER
from service.engine.errors import StoreTrouble
from service.engine.row import Row, RowId
from service.stages.drop import Drop

NOW = 1_800_000_000.0


def pipeline(name: str, *match: str) -> Pipeline:
    return Pipeline(name=name, match=match, transcript={}, prompts=())


PIPELINES = Pipelines(pipelines=(pipeline("calls", "calls/**/*.mp3"), pipeline("rest", "**/*.mp3", "**/*.wav")))


class Rows:
    """A table that keeps its rows in memory and only ever adds."""

    def __init__(self) -> None:
        self.rows: dict[RowId, Row] = {}
        self.names: dict[str, set[RowId]] = {}
        self.trouble = 0

    async def add(self, row: Row, names: Sequence[str] = ()) -> tuple[Row, bool]:
        if self.trouble:
            self.trouble -= 1
            raise StoreTrouble("the store is locked")
        for name in names:
            self.names.setdefault(name, set()).add(row.id)
        new = row.id not in self.rows
        return self.rows.setdefault(row.id, row), new

    async def known(self, name: str) -> bool:
        return name in self.names


class Documents:
    """Results in memory."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.away = False

    async def get(self, key: str) -> bytes | None:
        if self.away:
            raise Unavailable("the results are away")
        return self.stored.get(key)

    async def has(self, key: str) -> bool:
        return await self.get(key) is not None


class Counting:
    def __init__(self) -> None:
        self.counts: dict[str, float] = {}

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        key = f"{name} {labels['result']}"
        self.counts[key] = self.counts.get(key, 0) + amount


class Scene:
    def __init__(self) -> None:
        self.table = Rows()
        self.results = Documents()
        self.tally = Counting()
        self.woken: list[JobId] = []
        self.drop = self.begin()

    def begin(self, pipelines: Pipelines = PIPELINES, name: str = "afterword") -> Drop:
        return Drop(
            table=self.table,
            results=self.results,
            pipelines=pipelines,
            name=name,
            limits=FOLDER,
            clock=lambda: NOW,
            tally=self.tally,
            wake=self.woken.append,
        )

    def jobs(self) -> list[Job]:
        return [Job.model_validate(row.facts) for row in self.table.rows.values()]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def recording(key: str = "calls/one.mp3", digest: str | None = "0" * 64) -> Recording:
    return Recording(
        kind=Kind.FILE,
        uri=f"file:///in/{key}",
        key=key,
        name=key.rpartition("/")[2],
        location=f"/in/{key}",
        size=5,
        digest=digest,
        dropped_at="2027-01-15T08:00:00.000Z",
    )
