"""Sending the event of a run again, the same to the byte, for a subscriber that lost it."""

from service.domain.errors import Problem, Refused
from service.domain.events import Event
from service.domain.job import Job
from service.engine.row import Row
from service.stages.context import Context
from service.stages.publish import event_of


async def republish(row: Row, context: Context, run: int | None = None) -> Event:
    """Publish the event of `run` (the last finished one by default) again; the job itself is not touched.

    Raises Refused when that run has no result yet, Unavailable when the event cannot be handed over.
    """
    job = Job.model_validate(row.facts)
    last = job.run if row.ended else job.run - 1
    wanted = run if run is not None else last
    key = context.place(job).result(wanted)
    body = await context.ports.results.get(key) if 1 <= wanted <= last else None
    if body is None:
        what = f"run {wanted} has no result to tell of"
        raise Refused([Problem(place=job.id, what=what, cure="`afterword jobs show` lists the runs that ended")])
    again = await event_of(body, key, context)
    await context.ports.events.publish(again.body, again.attributes, again.group, again.id)
    return again
