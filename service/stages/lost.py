"""Callbacks that never came: counted, so that somebody looks at the balancer before the bill of waiting grows."""

from typing import Final

import structlog

from service.domain import happened
from service.domain.errors import ServiceError
from service.domain.job import Job, TranscriptId
from service.domain.tally import CALLBACKS_LOST
from service.stages.context import Context
from service.stages.vendor import polled, recent

LOST_AFTER_AT_MOST: Final = 300.0
PAGES: Final = 3


async def count_if_lost(job: Job, callbacks: int, context: Context) -> None:
    """Count the callback of a transcript that has ended as lost, if the vendor has long given up delivering it.

    Long is five minutes, or half of AFTERWORD_RECONCILE_AFTER where that is shorter. Whatever goes wrong here is no
    reason to hold the job up.
    """
    if callbacks or job.transcript is None or job.intent is None or job.intent.webhook_url is None:
        return
    bound = min(LOST_AFTER_AT_MOST, context.terms.reconcile_after / 2)
    if job.submitted_at is None or context.now() - job.submitted_at < bound:
        return
    try:
        completed = await _completed_at(job.transcript.id, context)
    except ServiceError:
        return
    if completed is not None and context.now() - completed >= bound:
        context.tally.count(CALLBACKS_LOST)
        structlog.get_logger().warning(happened.CALLBACK_LOST, done_for=round(context.now() - completed, 1))


async def _completed_at(transcript_id: TranscriptId, context: Context) -> float | None:
    """When the vendor was done, epoch seconds: only its list tells (vendor API reference: list items).

    A page tells it of two hundred transcripts, so it is kept: when callbacks are lost, they are lost by the hundred.
    """
    before = None
    for _ in range(PAGES):
        if transcript_id in context.completions:
            break
        await polled(context, patient=True)
        page = await recent(context, before)
        if not page:
            break
        context.completions.remember({item.id: item.completed for item in page if item.completed is not None})
        before = page[-1].id
    return context.completions.get(transcript_id)
