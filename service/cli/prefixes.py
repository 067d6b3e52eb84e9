"""Recordings under a prefix in S3: listed a page at a time, and handed over at a bounded rate."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from service.adapters.drops.objects import Listed, listed
from service.cli.handover import Handover
from service.cli.screen import note
from service.cli.submission import Order, Submitted, recording, refused, submitted
from service.domain.errors import Permanent, Refused
from service.domain.identity import job_id
from service.domain.objects import ObjectPlace, ours
from service.domain.objects import recording as announced
from service.domain.targets import ObjectTarget
from service.engine.row import Lane, RowId
from service.settings.places import Bucket
from service.stages.context import Context
from service.stages.drop import Drop

AT_ONCE: Final = 10
"""Objects that are looked up and handed over at the same time."""

A_SECOND: Final = 50.0
"""Objects that are handed over at most: the backlog of years must not crowd out what arrives meanwhile."""

TELL_EVERY: Final = 10_000
"""Objects between two lines about how far the counting is."""


async def objects(place: ObjectPlace, order: Order) -> AsyncIterator[Sequence[Listed]]:
    """The recordings under a prefix, a page after the other; folder markers, empty objects and results are left out.

    Raises Refused, Unavailable.
    """
    results = order.settings.results.place
    own = ObjectPlace(bucket=results.name, key=results.prefix) if isinstance(results, Bucket) else None
    seen = 0
    try:
        async for page in listed(order.aws, place):
            yield [
                each for each in page if each.size and not each.place.key.endswith("/") and not ours(each.place, own)
            ]
            if (seen + len(page)) // TELL_EVERY > seen // TELL_EVERY:
                note(f"{seen + len(page):,} objects listed")
            seen += len(page)
    except Permanent as error:
        raise refused(place.uri, error) from None


def pipeline_of(each: Listed, order: Order) -> str | None:
    """The name of the pipeline that takes it."""
    if order.pipeline is not None:
        return order.pipeline
    found = order.pipelines.match(each.place.key, each.place.uri)
    return found.name if found else None


async def hand_over(place: ObjectPlace, order: Order, context: Context, drop: Drop, done: Handover) -> None:
    """Make jobs of the recordings under a prefix; one that is gone or denied does not keep the others back.

    What is known already is only looked up. Raises Refused, Unavailable, StoreTrouble; what was handed over by then
    stays so.
    """
    loop = asyncio.get_running_loop()
    async for page in objects(place, order):
        taken = [each for each in page if pipeline_of(each, order) is not None]
        for first in range(0, len(taken), AT_ONCE):
            some = taken[first : first + AT_ONCE]
            earliest = loop.time() + len(some) / A_SECOND
            for each in await _each(some, order, context, drop):
                if isinstance(each, Submitted):
                    done.add(each)
                else:
                    done.miss(each)
            await asyncio.sleep(earliest - loop.time())


async def _each(some: Sequence[Listed], order: Order, context: Context, drop: Drop) -> Sequence[Submitted | Refused]:
    found = await asyncio.gather(*(_one(each, order, context, drop) for each in some), return_exceptions=True)
    for each in found:
        # All of them have ended by now: none is left to itself.
        if isinstance(each, BaseException) and not isinstance(each, Refused):
            raise each
    return [each for each in found if isinstance(each, (Submitted, Refused))]


async def _one(each: Listed, order: Order, context: Context, drop: Drop) -> Submitted:
    place = each.place
    if order.again is None and (known := await _known(each, context)) is not None:
        return known
    return await submitted(await recording(ObjectTarget(place=place), order), order, context, drop, Lane.BACKFILL)


async def _known(each: Listed, context: Context) -> Submitted | None:
    """The job that a listing's few words are enough to find: most of a backfill that is repeated."""
    if each.etag is None:
        return None
    what = announced(each.place, etag=each.etag, size=each.size, version=None, seen_at=context.now(), metadata={})
    row = await context.ports.jobs.get(RowId(job_id(context.terms.name, what)))
    if row is None:
        return None
    return Submitted(job_id=row.id, new=False, pipeline=str(row.facts.get("pipeline")), key=what.key, uri=what.uri)
