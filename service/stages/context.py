"""What a stage is given besides its job: the world by its ports, and the operator's terms."""

from asyncio import Semaphore
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from service.domain.job import Job, NotUnderstood
from service.domain.pipeline import Pipeline, Pipelines, from_json
from service.domain.places import Limits, Place, place
from service.domain.retry import Retry
from service.domain.tally import Tally
from service.ports.ports import Ports
from service.stages.asking.purse import Grants
from service.stages.asking.refusals import Refusals
from service.stages.completions import Completions
from service.stages.holdback import Holdback
from service.stages.polls import Polls
from service.stages.room import Room
from service.stages.spending import Spending


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The settings that stages obey. Durations in seconds.

    `public_url` None: the vendor is not asked to call back. `secret` signs the token that it calls back with. `audio`:
    how the vendor gets objects in S3, by a presigned URL or from us.
    """

    name: str
    public_url: str | None
    secret: str | None
    audio: Literal["presign", "upload"]
    reconcile_after: float
    adopt_within: float
    retry: Retry
    limits: Limits


@dataclass(frozen=True, kw_only=True)
class Context:
    """Everything a stage may use; a stage keeps nothing of its own between two calls."""

    ports: Ports
    terms: Terms
    pipelines: Pipelines
    polls: Polls
    holdback: Holdback
    room: Room
    spending: Spending
    completions: Completions
    refusals: Refusals
    grants: Grants
    tally: Tally
    clock: Callable[[], float]
    random: Random
    documents: Semaphore
    """Transcripts in memory at once: each may weigh as much as ten hours of words do."""

    def now(self) -> float:
        return self.clock()

    def place(self, job: Job) -> Place:
        """Where the job's results lie."""
        return place(job.pipeline, job.recording.key, job.id, self.terms.limits)

    async def pinned(self, digest: str) -> Pipeline:
        """The pipeline kept under that digest; it was pinned before its digest was saved, so it is there.

        Raises NotUnderstood for one that another version pinned.
        """
        document = await self.ports.pins.pinned(digest)
        if document is None:
            raise LookupError(f"no pipeline is kept under {digest}")
        try:
            return from_json(document)
        except ValueError:
            raise NotUnderstood from None

    async def pipeline_of(self, job: Job) -> Pipeline | None:
        """The pipeline that the job is bound to, as far as it is; else today's of that name, if there is one."""
        pin = job.pipeline_digest or job.transcript_pin
        return await self.pinned(pin) if pin else self.pipelines.get(job.pipeline)
