"""Whether a webhook secret may be taken out: not while AssemblyAI holds tokens that were made with it.

A callback whose token fits no secret is answered 401, and AssemblyAI never comes again.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from service.cli.figures import count
from service.domain.errors import Problem
from service.domain.job import Status
from service.domain.tokens import key_id
from service.engine.row import Row
from service.ports.store import Jobs
from service.settings.groups import Callbacks

LISTENING: Final = (Status.RECEIVED, Status.SUBMITTED)
"""Where a callback is still to come."""
PAGE: Final = 500
LOOKED_AT_MOST: Final = 20_000


async def unverifiable(jobs: Jobs, callbacks: Callbacks) -> Sequence[Problem]:
    """The problem, if jobs wait for callbacks that none of the secrets will verify. Raises StoreTrouble."""
    known = {key_id(each.get_secret_value()) for each in callbacks.secrets}
    if not known:
        return []
    waiting = looked = 0
    after = None
    while looked < LOOKED_AT_MOST:
        rows = await jobs.page(statuses=LISTENING, limit=PAGE, after=after)
        waiting += sum(_signed_otherwise(row, known) for row in rows)
        looked += len(rows)
        if len(rows) < PAGE:
            break
        after = rows[-1].id
    if not waiting:
        return []
    jobs_wait = f"{count(waiting, 'job')} {'waits for a callback' if waiting == 1 else 'wait for callbacks'}"
    what = f"{jobs_wait} made with a secret that is not among them: each would be answered 401, for good"
    cure = "put the old secret back at the end of the list, and take it out when `afterword check` has no such problem"
    return [Problem(place="AFTERWORD_WEBHOOK_SECRETS", what=what, cure=cure)]


def _signed_otherwise(row: Row, known: Collection[str]) -> bool:
    # Not read as a job: what another version wrote counts too.
    intent = row.facts.get("intent")
    signed_by = intent.get("signed_by") if isinstance(intent, Mapping) else None
    return signed_by is not None and signed_by not in known
