"""The account's trouble: whatever must pass a shut gate is parked, and one probe at a time tries it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Final

import structlog

from service.domain import happened
from service.domain.errors import AccountTrouble, Gate, Permanent, ServiceError
from service.engine.errors import StoreTrouble
from service.ports.store import Closed
from service.stages.context import Context

SPREAD_AT_MOST: Final = 60.0


class Parked(ServiceError):
    """The job waits at a shut gate; nothing was asked, or what was asked was refused for the account's sake."""

    def __init__(self, closed: Closed) -> None:
        super().__init__(closed.reason)
        self.closed = closed

    def until(self, random: Random) -> float:
        """When to come again: from the next probe on, spread over its pause, since only one may probe."""
        return self.closed.next_probe_at + random.uniform(0.0, min(self.closed.pause, SPREAD_AT_MOST))


@asynccontextmanager
async def through(context: Context, *gates: Gate) -> AsyncIterator[None]:
    """Ask the vendor something that these gates guard. Raises Parked instead of AccountTrouble, and before asking.

    An answer that speaks of anything but the account opens the gates that this call was probing.
    """
    shut = {closed.gate: closed for closed in await context.ports.gates.closed()}
    probing = [shut[gate] for gate in gates if gate in shut]
    for closed in probing:
        if not await context.ports.gates.probe(closed.gate):
            raise Parked(closed)
    try:
        yield
    except AccountTrouble as trouble:
        raise Parked(await _refused(context, trouble)) from trouble
    except Permanent:
        await _passed(context, probing)
        raise
    await _passed(context, probing)


async def _refused(context: Context, trouble: AccountTrouble) -> Closed:
    closed, told_first = await context.ports.gates.shut(trouble.gate, trouble.message)
    if told_first:
        structlog.get_logger().error(
            happened.ACCOUNT_PARKED, gate=trouble.gate.value, reason=trouble.message, request_id=trouble.request_id
        )
    return closed


async def _passed(context: Context, probing: list[Closed]) -> None:
    for closed in probing:
        # What the probe brought may be paid for: a gate that stays shut until the next one is the smaller harm.
        with suppress(StoreTrouble):
            if await context.ports.gates.reopen(closed.gate):
                structlog.get_logger().info(
                    happened.ACCOUNT_RESUMED, gate=closed.gate, shut_for=round(context.now() - closed.since, 1)
                )
