"""A table of jobs in the emulator, and stores on it that see faults or none."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

from service.adapters.aws import Aws
from service.adapters.jobs.dynamodb import Ages, DynamoStore, open_table_store
from service.adapters.jobs.dynamodb_schema import definition
from service.domain.job import STEPS
from tests.contract.storing import CURRENT, DAY, LEASE
from tests.emulator import Emulator


def made(emulator: Emulator) -> str:
    """A fresh table as the stack makes it, by name."""
    name = emulator.name("jobs")
    emulator.client("dynamodb").create_table(**definition(name))
    return name


@asynccontextmanager
async def opened(
    aws: Aws, table: str, clock: Callable[[], float], *, ages: Ages = CURRENT, keep: float = 90 * DAY
) -> AsyncIterator[DynamoStore]:
    """A store on the table; its clock may stand where a test wants it, unless `ages` says otherwise."""
    async with open_table_store(
        aws, table, steps=STEPS, lease=LEASE, keep=keep, clock=clock, random=Random(), ages=ages
    ) as store:
        yield store
