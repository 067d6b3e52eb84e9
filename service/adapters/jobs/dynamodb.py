"""The fleet's job store: one DynamoDB table that any number of replicas share."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Final

import structlog

from service.adapters.aws import Aws, AwsError
from service.adapters.jobs.dynamodb_answers import insist_on_whole_answers
from service.adapters.jobs.dynamodb_books import DynamoBooks
from service.adapters.jobs.dynamodb_budgets import DynamoBudgets
from service.adapters.jobs.dynamodb_callbacks import Callbacks
from service.adapters.jobs.dynamodb_calls import APART_AT_MOST, Calls
from service.adapters.jobs.dynamodb_checks import lifetime_problems, table_problems
from service.adapters.jobs.dynamodb_claims import LOOK_EVERY, Claims
from service.adapters.jobs.dynamodb_counts import ACTIVE_WORTH, ENDED_WORTH, Counts, Worth
from service.adapters.jobs.dynamodb_gates import DynamoGates
from service.adapters.jobs.dynamodb_heard import LastHeard
from service.adapters.jobs.dynamodb_listing import DynamoJobs
from service.adapters.jobs.dynamodb_notes import NoteBook
from service.adapters.jobs.dynamodb_pins import DynamoPins
from service.adapters.jobs.dynamodb_queues import DynamoQueues, Entries
from service.adapters.jobs.dynamodb_table import DynamoTable
from service.adapters.jobs.dynamodb_unmatched import DynamoUnmatched
from service.adapters.jobs.dynamodb_writes import Writes
from service.domain import happened
from service.domain.errors import Refused
from service.engine.row import RowId
from service.engine.rules import Steps


@dataclass(frozen=True, kw_only=True)
class Ages:
    """How old what is told may be, and how far our clock may be off DynamoDB's, in seconds."""

    look_every: float = LOOK_EVERY
    active: Worth = ACTIVE_WORTH
    ended: Worth = ENDED_WORTH
    apart: float = APART_AT_MOST


AGES: Final = Ages()


@dataclass(frozen=True, kw_only=True)
class DynamoStore:
    """The ports that one table serves."""

    table: DynamoTable
    jobs: DynamoJobs
    pins: DynamoPins
    gates: DynamoGates
    unmatched: DynamoUnmatched
    books: DynamoBooks
    queues: DynamoQueues
    budgets: DynamoBudgets
    calls: Calls

    async def prune(self, older_than: float) -> int:  # noqa: ARG002
        """0: DynamoDB forgets by itself what ended, by the time to live of each row."""
        return 0

    async def ready(self) -> None:
        """Returns if the table answers and its clock is ours. Raises StoreTrouble."""
        await self.jobs.get(RowId("readiness"))
        self.calls.insist_on_time()


@asynccontextmanager
async def open_table_store(
    aws: Aws,
    table: str,
    *,
    steps: Steps,
    lease: float,
    keep: float,
    clock: Callable[[], float],
    random: Random,
    monotonic: Callable[[], float] = time.monotonic,
    ages: Ages = AGES,
) -> AsyncIterator[DynamoStore]:
    """The store in this table, which the stack has made. Leases last `lease` seconds, ended rows stay for `keep`.

    Leaving finishes the callbacks that wait. Raises Refused for a table that is not there or is another's; when AWS
    does not answer, it opens all the same, and every call raises StoreTrouble for as long as that lasts.
    """
    insist_on_whole_answers(aws)
    await examine(aws, table)
    calls = Calls(aws, table, clock=clock, apart=ages.apart)
    writes = Writes(calls, keep=keep, random=random)
    notes, heard = NoteBook(writes, clock), LastHeard(calls, clock)
    callbacks = Callbacks(writes, notes, heard, steps=steps, clock=clock)
    claims = Claims(
        writes, steps=steps, lease=lease, clock=clock, monotonic=monotonic, random=random, look_every=ages.look_every
    )
    counts = Counts(calls, steps=steps, clock=clock, monotonic=monotonic, active=ages.active, ended=ages.ended)
    entries, budgets = Entries(writes, clock), DynamoBudgets(writes)
    queues = DynamoQueues(writes, budgets, steps=steps, clock=clock, monotonic=monotonic, worth=ages.active)
    try:
        yield DynamoStore(
            table=DynamoTable(writes, claims, callbacks, entries, steps=steps, lease=lease, clock=clock),
            jobs=DynamoJobs(writes, counts, heard, steps=steps),
            pins=DynamoPins(writes, notes),
            gates=DynamoGates(writes, clock),
            unmatched=DynamoUnmatched(writes, clock),
            books=DynamoBooks(calls),
            queues=queues,
            budgets=budgets,
            calls=calls,
        )
    finally:
        await callbacks.close()


async def examine(aws: Aws, table: str) -> None:
    """Raises Refused for what a person must mend; tells what they should."""
    log = structlog.get_logger()
    try:
        problems = await table_problems(aws, table)
        doubts = [] if problems else await lifetime_problems(aws, table)
    except AwsError as error:
        log.warning(happened.STORE_FAILED, table=table, error=str(error))
        return
    if problems:
        raise Refused(problems)
    for doubt in doubts:
        log.warning(happened.SETTING_DOUBTED, place=doubt.place, what=doubt.what, cure=doubt.cure)
