"""The private listener over a handful of jobs in memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import httpx2
import pytest
from starlette.types import ASGIApp

from service.domain.job import (
    Intent,
    Job,
    JobId,
    Kind,
    Moment,
    Outcome,
    Recording,
    Status,
    TranscriptFacts,
    TranscriptId,
    Trouble,
    Verdict,
)
from service.engine.row import Row, RowId
from service.ops.app import ops
from service.ops.metrics import Metrics, Scrapes
from service.ports.budget import Standing
from service.ports.store import Count, Lately
from service.stages.overview import overview
from tests.receiver.loopback import serving

NOW = 1_700_000_000.0
URI = "file:///inbox/calls/a%20b.mp3"


def job(name: str, status: Status = Status.SUBMITTED) -> Row:
    """A job that has seen something."""
    ended = status in {Status.PUBLISHED, Status.FAILED}
    recording = Recording(
        kind=Kind.FILE,
        uri=URI,
        key="calls/a b.mp3",
        name="a b.mp3",
        location="/srv/inbox/calls/a b.mp3",
        size=7,
        digest="d" * 64,
        dropped_at="2023-11-14T22:13:20.000Z",
    )
    facts = Job(
        id=JobId(name),
        recording=recording,
        pipeline="calls",
        intent=Intent(at=NOW, audio_url="https://cdn.example/upload/SECRETUPLOAD", webhook_url=None),
        transcript=TranscriptFacts(id=TranscriptId("t-" + name), ours=True),
        trouble=Trouble(attempts=2, since=NOW - 60, last="no answer from https://x.example/?X-Amz-Signature=SIGNED"),
        verdict=Verdict(outcome=Outcome.FAILED, at="2023-11-14T22:13:20.000Z") if status is Status.FAILED else None,
        timeline=(Moment(at=NOW - 60, run=1, status=Status.RECEIVED),),
    )
    return Row(
        id=RowId(name),
        status=status,
        facts=facts.model_dump(mode="json"),
        created_at=NOW - 60,
        updated_at=NOW,
        due_at=None if ended else NOW + 5,
        subject="t-" + name,
    )


class Shelf:
    """Jobs in memory, newest first; slow or broken as it is told to be."""

    def __init__(self, *rows: Row) -> None:
        self.rows = list(rows)
        self.trouble: Exception | None = None
        self.asked: dict[str, object] = {}
        self.counted = 0
        self.ended = 0
        self.models: list[Standing] = []
        self.hang: asyncio.Event | None = None

    async def get(self, row_id: RowId) -> Row | None:
        return next((row for row in self.rows if row.id == row_id), None)

    async def find(self, name: str) -> Sequence[Row]:
        if self.trouble:
            raise self.trouble
        return [row for row in self.rows if name in {row.id, row.subject, URI}]

    async def page(
        self,
        *,
        statuses: Sequence[str] | None = None,
        since: float | None = None,
        limit: int = 100,
        after: RowId | None = None,
    ) -> Sequence[Row]:
        self.asked = {"statuses": statuses, "since": since, "limit": limit, "after": after}
        if self.trouble:
            raise self.trouble
        start = [row.id for row in self.rows].index(after) + 1 if after else 0
        return [row for row in self.rows[start:] if not statuses or row.status in statuses][:limit]

    async def counts(self) -> Sequence[Count]:
        self.counted += 1
        if self.hang:
            await self.hang.wait()
        if self.trouble:
            raise self.trouble
        return [
            Count(status="submitted", lane="fresh", rows=3, due=1, parked=0, oldest_due_at=NOW - 40),
            Count(status="received", lane="backfill", rows=2, due=0, parked=2, oldest_due_at=NOW + 40),
            Count(status="published", lane="fresh", rows=9, due=0, parked=0, oldest_due_at=None),
        ]

    async def standings(self) -> Sequence[Standing]:
        return self.models

    async def lately(self, since: float) -> Lately:
        self.asked = {"since": since}
        return Lately(ended=self.ended, last_callback_at=None)


class Acts:
    """Operations that remember, or raise."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []
        self.trouble: Exception | None = None

    async def submit(self, target: str, pipeline: str | None, metadata: Mapping[str, str]) -> Mapping[str, object]:
        if self.trouble:
            raise self.trouble
        known = any(target == done[1] for done in self.done)
        self.done.append(("submit", target, pipeline, dict(metadata)))
        return {"job_id": "job_1", "new": not known}

    async def retry(self, name: str) -> Mapping[str, object]:
        if self.trouble:
            raise self.trouble
        self.done.append(("retry", name))
        return {"job_id": "job_1", "run": 2}


class Private:
    """The private listener and what is behind it."""

    def __init__(self) -> None:
        self.shelf = Shelf(job("job_2", Status.FAILED), job("job_1"))
        self.acts = Acts()
        self.metrics = Metrics.create()
        self.at = 0.0
        self.client: httpx2.AsyncClient

    def app(self, token: str | None = None) -> ASGIApp:
        scrapes = Scrapes(
            self.metrics, lambda: overview(self.shelf, self.shelf, NOW), clock=lambda: self.at, within=0.05
        )
        return ops(jobs=self.shelf, operations=self.acts, scrapes=scrapes, token=token, now=lambda: NOW)


@pytest.fixture
async def private() -> AsyncIterator[Private]:
    private = Private()
    async with (
        serving(private.app()) as port,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as private.client,
    ):
        yield private
