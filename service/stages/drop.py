"""Drop: a recording has arrived; make it a job, once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import structlog

from service.domain.happened import DROP_KNOWN, DROP_RECEIVED, DROP_UNMATCHED
from service.domain.identity import job_id
from service.domain.job import Job, JobId, Kind, Moment, Recording, Status, TranscriptFacts, TranscriptId
from service.domain.pipeline import Pipeline, Pipelines
from service.domain.places import Limits, place
from service.domain.tally import DROPS, Tally
from service.engine.row import Lane, Row, RowId
from service.engine.table import Table
from service.ports.places import Results

TOLD: Final = 10_000
"""Unmatched recordings that are remembered as told; beyond that an old one may be told again."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """The job of a recording, whether it is a new one, and the pipeline it is for."""

    job_id: JobId
    created: bool
    pipeline: str


def row(job: Job, lane: Lane, now: float) -> Row:
    """The row of a new job, due now: to be submitted, or, if its transcript exists, to be read."""
    subject = None if job.transcript is None else str(job.transcript.id)
    return Row(
        id=RowId(job.id),
        status=_first(job.recording.kind),
        lane=lane,
        facts=job.model_dump(mode="json"),
        created_at=now,
        updated_at=now,
        due_at=now,
        subject=subject,
    )


def job(recording: Recording, pipeline: Pipeline, *, name: str, again: str | None, now: float) -> Job:
    """The facts of a new job of the deployment `name`."""
    transcript = None
    if recording.kind is Kind.TRANSCRIPT:
        transcript = TranscriptFacts(id=TranscriptId(recording.location), ours=False)
    return Job(
        id=job_id(name, recording, again),
        recording=recording,
        pipeline=pipeline.name,
        submitted_at=None if transcript is None else now,
        transcript=transcript,
        timeline=(Moment(at=now, run=1, status=_first(recording.kind)),),
    )


class Drop:
    """What is done with arrived recordings. `drop.take` is a ports.Take."""

    def __init__(
        self,
        *,
        table: Table,
        results: Results,
        pipelines: Pipelines,
        name: str,
        limits: Limits,
        clock: Callable[[], float],
        tally: Tally,
        wake: Callable[[JobId], None],
    ) -> None:
        """`name` is the deployment's, `limits` what fits into its results; `wake` is told of each new job."""
        self._table = table
        self._results = results
        self._pipelines = pipelines
        self._name = name
        self._limits = limits
        self._clock = clock
        self._tally = tally
        self._wake = wake
        self._told: dict[str, None] = {}
        self._log = structlog.get_logger()

    def wanted(self, key: str, uri: str) -> bool:
        """Whether any pipeline takes the recording: what none takes need not be read."""
        return self._pipelines.match(key, uri) is not None

    async def take(self, recording: Recording, names: Sequence[str]) -> None:
        """Make it the job of the pipeline that it matches; without one it is counted, told once and left alone.

        Returns when that is durable. Raises Unavailable, StoreTrouble; then nothing has happened that repeating spoils.
        """
        pipeline = self._pipelines.match(recording.key, recording.uri)
        if pipeline is None:
            self._leave(recording)
        else:
            await self.receive(recording, pipeline=pipeline, names=names)

    async def receive(
        self,
        recording: Recording,
        *,
        pipeline: Pipeline,
        lane: Lane = Lane.FRESH,
        again: str | None = None,
        names: Sequence[str] = (),
    ) -> Received:
        """The one job of this recording, made unless it stands, or has stood, already.

        `again`, a nonce, makes another job of a known recording. `names` are further names to find the job by.
        Raises Unavailable, StoreTrouble.
        """
        now = self._clock()
        new = job(recording, pipeline, name=self._name, again=again, now=now)
        # A result outlives its row: without this look an old recording that is met again would be paid again.
        result = place(pipeline.name, recording.key, new.id, self._limits).result(1)
        if not await self._results.has(result):
            stands, created = await self._table.add(row(new, lane, now), _names(recording, names))
            # The facts that stand may be a newer version's: nothing else of them is read.
            received = Received(job_id=new.id, created=created, pipeline=str(stands.facts["pipeline"]))
        else:
            received = Received(job_id=new.id, created=False, pipeline=pipeline.name)
        self._tell(recording, received)
        return received

    def _tell(self, recording: Recording, received: Received) -> None:
        self._tally.count(DROPS, result="received" if received.created else "known")
        if received.created:
            self._log.info(DROP_RECEIVED, job_id=received.job_id, key=recording.key, pipeline=received.pipeline)
            self._wake(received.job_id)
        else:
            self._log.debug(DROP_KNOWN, job_id=received.job_id, key=recording.key, pipeline=received.pipeline)

    def _leave(self, recording: Recording) -> None:
        if recording.uri in self._told:
            return
        if len(self._told) >= TOLD:
            del self._told[next(iter(self._told))]
        self._told[recording.uri] = None
        self._tally.count(DROPS, result="unmatched")
        self._log.info(DROP_UNMATCHED, key=recording.key)


def _names(recording: Recording, names: Sequence[str]) -> Sequence[str]:
    known = [recording.uri, *names]
    if recording.kind is Kind.TRANSCRIPT:
        known.append(recording.location)
    return list(dict.fromkeys(known))


def _first(kind: Kind) -> Status:
    match kind:
        case Kind.FILE | Kind.OBJECT | Kind.URL:
            return Status.RECEIVED
        case Kind.TRANSCRIPT:
            return Status.SUBMITTED
        case _:
            assert_never(kind)
