"""Callbacks, gathered: what arrives while batches are out goes together, and is answered after its own write."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from service.adapters.jobs import dynamodb_items as items
from service.adapters.jobs.dynamodb_calls import NotTaken, OutcomeUnclear
from service.adapters.jobs.dynamodb_heard import LastHeard
from service.adapters.jobs.dynamodb_items import Stored
from service.adapters.jobs.dynamodb_notes import NoteBook
from service.adapters.jobs.dynamodb_writes import Writes, changes, marked
from service.engine import rules
from service.engine.errors import StoreTrouble
from service.engine.row import Callback, Heard, RowId

BATCHES_AT_ONCE: Final = 6
"""Whoever comes while so many are out is gathered for the next."""
ROWS_AT_ONCE: Final = 25
"""Statements that DynamoDB takes at once."""
WAITING_AT_MOST: Final = 20_000
"""Callbacks that may wait; more are refused at once rather than kept in memory."""
FINISH_WITHIN: Final = 3.0
"""Seconds that waiting callbacks may still take at the end: a table that hangs takes more for each batch of them."""

NEVER: Final = frozenset({"AccessDenied", "ValidationError"})
"""Refusals of a statement that it would meet again: the callbacks go one by one from then on."""


@dataclass(frozen=True)
class Waiting:
    """A callback whose caller waits."""

    callback: Callback
    told: "asyncio.Future[Heard]"


class Callbacks:
    """Stores callbacks, as many at once as come at once."""

    def __init__(
        self, writes: Writes, notes: NoteBook, heard: LastHeard, *, steps: rules.Steps, clock: Callable[[], float]
    ) -> None:
        self._writes = writes
        self._notes = notes
        self._heard = heard
        self._steps = steps
        self._clock = clock
        self._waiting: list[Waiting] = []
        self._senders: set[asyncio.Task[None]] = set()
        self._statements = True
        self._closed = False

    async def call_back(self, callback: Callback) -> Heard:
        """What became of it, once that is durable. Raises StoreTrouble. A caller that is cancelled may have written."""
        if self._closed or len(self._waiting) >= WAITING_AT_MOST:
            raise self._full()
        told: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(callback, told))
        # One that has just ended may still be among them, and looks no more whether anything waits.
        if sum(not sender.done() for sender in self._senders) < BATCHES_AT_ONCE:
            sender = asyncio.create_task(self._send(), name="jobs-callbacks")
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        return await told

    async def close(self) -> None:
        """Finish what waits; after FINISH_WITHIN only what is out, the rest is refused."""
        self._closed = True
        if self._senders:
            await asyncio.wait(self._senders, timeout=FINISH_WITHIN)
        left, self._waiting = self._waiting, []
        for waiting in left:
            tell(waiting, self._full())
        await asyncio.gather(*self._senders, return_exceptions=True)

    def _full(self) -> StoreTrouble:
        return StoreTrouble(f"the job table {self._writes.calls.table} takes no more callbacks")

    async def _send(self) -> None:
        while batch := self._next():
            outcomes = await asyncio.gather(self._batch(batch), self._heard.now(), return_exceptions=True)
            if isinstance(outcomes[0], BaseException):
                for waiting in [each for some in batch.values() for each in some]:
                    tell(waiting, outcomes[0])

    def _next(self) -> Mapping[RowId, Sequence[Waiting]]:
        """The next rows' callbacks, all of a row together."""
        rows: defaultdict[RowId, list[Waiting]] = defaultdict(list)
        left: list[Waiting] = []
        for waiting in self._waiting:
            full = len(rows) == ROWS_AT_ONCE and waiting.callback.row_id not in rows
            (left if full else rows[waiting.callback.row_id]).append(waiting)
        self._waiting = left
        return rows

    async def _batch(self, batch: Mapping[RowId, Sequence[Waiting]]) -> None:
        standing = await self._writes.read_many(list(batch), facts=False)
        planned = {row_id: self._planned(standing.get(row_id), some) for row_id, some in batch.items()}
        written = await self._together([each for each in planned.values() if each.writes])
        settling = (self._settle(each, batch[row_id], written=written.get(row_id)) for row_id, each in planned.items())
        await asyncio.gather(*settling)

    def _planned(self, standing: Stored | None, some: Sequence[Waiting]) -> "Planned":
        after, outcomes = self._after(standing, some)
        mark = self._writes.mark()
        if standing is None or after is None or after is standing:
            return Planned(standing, standing, mark, outcomes)
        return Planned(standing, marked(after, mark, standing, outside=True), mark, outcomes)

    def _after(self, standing: Stored | None, some: Sequence[Waiting]) -> tuple[Stored | None, Sequence[Heard]]:
        """The row after these callbacks, the same object if they change nothing, and what became of each."""
        if standing is None:
            return None, [Heard.UNKNOWN] * len(some)
        row, outcomes, now = standing.row, list[Heard](), self._clock()
        for waiting in some:
            row, heard = rules.called_back(row, waiting.callback, now, self._steps)
            outcomes.append(heard)
        return (standing if row is standing.row else replace(standing, row=row)), outcomes

    async def _together(self, planned: Sequence["Planned"]) -> Mapping[RowId, bool]:
        """Write all by one call, of which each statement fails alone; for which rows that went through, if tried.

        What failed, for whatever reason, is for a write of its own to find out. Raises StoreTrouble.
        """
        wanted = [(each.standing, each.after) for each in planned if each.standing and each.after]
        if len(wanted) < 2 or not self._statements:  # noqa: PLR2004
            return {}
        calls, keep = self._writes.calls, self._writes.keep
        statements = [statement(calls.table, old, new, keep) for old, new in wanted]
        try:
            answer = await calls.anywhere("batch_execute_statement", Statements=statements)
        except NotTaken:
            self._statements = False
            return {}
        except OutcomeUnclear:
            return {new.row.id: False for _, new in wanted}
        errors = [each.get("Error", {}).get("Code") for each in answer["Responses"]]
        self._statements = not NEVER.intersection(errors)
        return {new.row.id: error is None for (_, new), error in zip(wanted, errors, strict=True)}

    async def _settle(self, planned: "Planned", some: Sequence[Waiting], *, written: bool | None) -> None:
        try:
            done = written or not planned.writes
            outcomes = planned.outcomes if done else await self._alone(planned, some, tried=written is False)
            await self._note(planned.standing, some)
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must be answered
            for waiting in some:
                tell(waiting, error)
        else:
            for waiting, outcome in zip(some, outcomes, strict=True):
                tell(waiting, outcome)

    async def _alone(self, planned: "Planned", some: Sequence[Waiting], *, tried: bool) -> Sequence[Heard]:
        outcomes = planned.outcomes

        def decide(stored: Stored | None) -> Stored:
            nonlocal outcomes
            after, outcomes = self._after(stored, some)
            if after is None:
                raise Gone
            return after

        assert planned.standing is not None
        first = None if tried else planned.standing
        with suppress(Gone):
            await self._writes.change(
                planned.standing.row.id, decide, first=first, outside=True, mark=planned.mark if tried else None
            )
        return outcomes

    async def _note(self, standing: Stored | None, some: Sequence[Waiting]) -> None:
        owned = frozenset() if standing is None else standing.owned
        said = [waiting.callback.subject for waiting in some]
        subjects = [subject for subject in dict.fromkeys(said) if subject is not None and subject not in owned]
        if subjects:
            await self._notes.note(some[0].callback.row_id, subjects)


@dataclass(frozen=True)
class Planned:
    """What callbacks make of a row: `after` is the same as `standing` where nothing is to be written."""

    standing: Stored | None
    after: Stored | None
    mark: str
    outcomes: Sequence[Heard]

    @property
    def writes(self) -> bool:
        return self.after is not self.standing


class Gone(Exception):
    """The row is not there any more."""


def statement(table: str, old: Stored, new: Stored, keep: float) -> Mapping[str, Any]:
    """The change as a PartiQL statement that holds only over the revision that was read."""
    setting, _ = changes(old, new, keep)
    key = items.row_key(new.row.id)
    parts = " ".join(f'SET "{name}"=?' for name in setting)
    return {
        "Statement": f'UPDATE "{table}" {parts} WHERE "pk"=? AND "sk"=? AND "revision"=?',
        "Parameters": [*map(items.spell, setting.values()), key["pk"], key["sk"], items.spell(old.revision)],
    }


def tell(waiting: Waiting, outcome: Heard | BaseException) -> None:
    """Answer the caller, if it still waits."""
    if waiting.told.done():
        return
    if isinstance(outcome, Heard):
        waiting.told.set_result(outcome)
    else:
        waiting.told.set_exception(outcome)
