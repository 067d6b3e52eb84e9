"""Asking the transcription API: through its gates, within its limits."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import structlog

from service.domain import happened
from service.domain.errors import Gate, Permanent, Throttled, Transient
from service.domain.job import TranscriptId
from service.domain.tally import VENDOR_REQUESTS
from service.domain.transcript import Listed, Reading
from service.stages.context import Context
from service.stages.gates import through

UNTOLD: Final = 5.0
"""Seconds to keep away after a refusal that does not say how long."""


@asynccontextmanager
async def transcription(context: Context, operation: str, *more: Gate) -> AsyncIterator[None]:
    """A call to the transcription API. Raises Parked, Throttled; a Throttled answer holds back every other call too.

    The API has one allowance for all of its calls (vendor API reference: rate limits).
    """
    left = context.holdback.left()
    if left > 0:
        raise Throttled("the transcription API asked to be left alone for a while", retry_after=left)
    async with through(context, Gate.TRANSCRIPTION, *more):
        try:
            with counted(context, operation):
                yield
        except Throttled as throttled:
            seconds = throttled.retry_after or UNTOLD
            context.holdback.refused(seconds)
            # It counts as no attempt, so this line is all there is to see of a refusal that never ends.
            structlog.get_logger().warning(
                happened.JOB_WAITING, operation=operation, reason=throttled.message, seconds=round(seconds, 1)
            )
            raise


@contextmanager
def counted(context: Context, operation: str) -> Iterator[None]:
    """A request to the vendor, counted by how it ended."""
    result = "answered"
    try:
        yield
    except Transient as error:
        result = type(error).__name__.lower()
        raise
    except Permanent:
        result = "refused"
        raise
    finally:
        context.tally.count(VENDOR_REQUESTS, operation=operation, result=result)


async def polled(context: Context, *, patient: bool = False) -> None:
    """Wait for this process's turn to ask unasked.

    Unless `patient`, raises Throttled when the turn is too far off to wait for.
    """
    while True:
        wait, granted = context.polls.take()
        if not granted and not patient:
            raise Throttled("as many polls as allowed are waiting already", retry_after=wait)
        await asyncio.sleep(wait)
        if granted:
            return


async def read(context: Context, transcript_id: TranscriptId) -> Reading:
    """What the vendor says of the transcript now. Raises as Transcriber.read, and Parked."""
    async with transcription(context, "read"):
        return await context.ports.transcriber.read(transcript_id)


async def recent(context: Context, before: TranscriptId | None) -> Sequence[Listed]:
    """A page of the vendor's list. Raises as Transcriber.recent, and Parked."""
    async with transcription(context, "list"):
        return await context.ports.transcriber.recent(before)
