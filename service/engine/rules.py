"""The rules of the one table, as functions from a row to a row: no clock, no storage, no luck.

Every store runs these inside its own transaction, so that no two engines can differ in what a claim, a save or a
callback means; the property test runs them alone.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from service.engine.errors import IllegalStep, LeaseLost
from service.engine.row import Callback, Heard, Lane, Row, RowId, Save, Token, Waiting

SCHEMA: Final = 1
"""The version of a row that this code understands; rows of another version are left alone."""

CLAIMS_AT_MOST: Final = 10
"""The claim in a row without progress at which a worker must end the row instead of running it."""

OLDEST_CONSIDERED: Final = 100
"""Claims pick at random within this many of the longest due, so that replicas rarely reach for the same row."""

ANY_LANE_EVERY: Final = 8
"""Every so manieth claim takes the longest due of any lane, so that backfill never starves."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The legal steps of a kind of row.

    `following` maps each status to those a save may lead to (itself included where staying is legal). A status
    that maps to nothing is an end. In the `listening` statuses a callback means that there is something to look at.
    `reopening` maps an ended status to where the next run of it may begin.
    """

    following: Mapping[str, Set[str]]
    listening: Set[str]
    reopening: Mapping[str, Set[str]]

    def known(self) -> Set[str]:
        return self.following.keys()

    def ends(self, status: str) -> bool:
        return not self.following[status]

    def understood(self, row: Row) -> bool:
        """Whether this code may touch the row at all: a newer replica may have written it."""
        return row.schema == SCHEMA and row.status in self.following


def pause(claims: int) -> float:
    """Seconds that a row rests after its lease, when this many claims in a row brought no progress."""
    return 0.0 if claims <= 1 else min(5.0 * 2.0 ** min(claims - 2, 6), 300.0)


def picked(
    fresh: Sequence[tuple[float, RowId]],
    backfill: Sequence[tuple[float, RowId]],
    limit: int,
    taken: int,
    random: Random,
) -> Sequence[RowId]:
    """Which rows to claim, out of what is claimable in each lane, longest due first.

    `taken` is how many this process has claimed before, so that every eighth takes the longest due of all.
    """
    lanes = [list(fresh), list(backfill)]
    chosen: list[RowId] = []
    while len(chosen) < limit and any(lanes):
        if (taken + len(chosen) + 1) % ANY_LANE_EVERY == 0:
            chosen.append(min(filter(None, lanes)).pop(0)[1])
        else:
            lane = lanes[0] or lanes[1]
            chosen.append(lane.pop(random.randrange(min(len(lane), OLDEST_CONSIDERED)))[1])
    return chosen


def in_turn(fresh: Sequence[Waiting], backfill: Sequence[Waiting], served: int) -> Sequence[Waiting]:
    """The order in which waiting rows get their share, out of each lane's, oldest first: fresh before backfill.

    `served` is how many this process has served before: every eighth is the oldest backfill, so that none starves.
    """
    lanes = [list(fresh), list(backfill)]
    order: list[Waiting] = []
    while any(lanes):
        backfills_turn = (served + len(order) + 1) % ANY_LANE_EVERY == 0
        lane = (lanes[1] or lanes[0]) if backfills_turn else (lanes[0] or lanes[1])
        order.append(lane.pop(0))
    return order


def precedes(waiting: Waiting, row: Row) -> bool:
    """Whether what waits goes before a row that has not waited yet."""
    if waiting.lane is not row.lane:
        return waiting.lane is Lane.FRESH
    return (waiting.created_at, waiting.id) < (row.created_at, row.id)


def claimable(row: Row, now: float) -> bool:
    """Both the due time and the lease (with its rest) must be past."""
    return row.due_at is not None and row.due_at <= now and row.claimable_at <= now


def callable_from(row: Row, queue: str, now: float) -> bool:
    """Whether the row waits in this queue, due or not, and nobody is at it."""
    return row.due_at is not None and row.queue == queue and row.claimable_at <= now


def called_up(row: Row, now: float, lease: float) -> Row:
    """The row claimed out of its queue, which it leaves; should its holder vanish, it is due when the lease is over."""
    due_at = now if row.due_at is None else min(row.due_at, now)
    return replace(claimed(row, now, lease), due_at=due_at, queue=None, wants=0)


def claimed(row: Row, now: float, lease: float) -> Row:
    """The row under a new fencing token; whoever held it before can no longer save. Not progress."""
    claims = row.claims + 1
    return replace(
        row,
        token=Token(row.token + 1),
        claims=claims,
        lease_until=now + lease,
        claimable_at=now + lease + pause(claims),
    )


def renewed(row: Row, token: Token, now: float, lease: float, *, progress: bool = False) -> Row:
    """The same hold for longer; `progress` clears the count of fruitless claims.

    Raises LeaseLost when the row has since been claimed by another, or has ended.
    """
    held(row, token)
    claims = 0 if progress else row.claims
    return replace(row, lease_until=now + lease, claimable_at=now + lease + pause(claims), claims=claims)


def saved(row: Row, token: Token, save: Save, now: float, steps: Steps) -> Row:
    """The row as the holder of `token` decided.

    Where the new status listens it is due now, whatever the holder said, while callbacks have come that nobody looked
    into. A subject that takes the place of another counts as one: those about it were not counted before.
    Raises LeaseLost for an outdated token, IllegalStep for a step that is not in the table.
    """
    held(row, token)
    step(row.status, save, steps)
    checked = max(row.callbacks_checked, min(save.heard, row.callbacks))
    replaced = row.subject is not None and save.subject not in {None, row.subject}
    callbacks = row.callbacks + 1 if replaced else row.callbacks
    due_at = save.due_at
    if due_at is not None and save.status in steps.listening and callbacks > checked:
        due_at = min(due_at, now)
    claims = 0 if save.progress else row.claims
    lease_until = row.lease_until if save.keep_lease else 0.0
    rest = pause(claims)
    return replace(
        row,
        status=save.status,
        facts=save.facts,
        updated_at=now,
        due_at=due_at,
        lease_until=lease_until,
        claimable_at=lease_until + rest if save.keep_lease else (0.0 if save.progress else now + rest),
        claims=claims,
        callbacks=callbacks,
        callbacks_checked=checked,
        subject=save.subject if save.subject is not None else row.subject,
        parked=save.parked,
        queue=save.queue,
        wants=save.wants,
    )


def called_back(row: Row, callback: Callback, now: float, steps: Steps) -> tuple[Row, Heard]:
    """The row after a callback: counted, and due now where its status listens; lease and the holder's fields stay."""
    if not steps.understood(row):
        return row, Heard.UNKNOWN
    if row.ended or row.due_at is None:
        return row, Heard.ENDED
    if row.subject is not None and callback.subject is not None and callback.subject != row.subject:
        return row, Heard.OTHER_SUBJECT
    due_at = min(row.due_at, now) if row.status in steps.listening else row.due_at
    return replace(row, callbacks=row.callbacks + 1, due_at=due_at), Heard.COUNTED


def unparked(row: Row, now: float) -> Row:
    """The row once its gate is open again: due now; whoever holds it keeps it."""
    return row if row.due_at is None else replace(row, due_at=min(row.due_at, now), parked=None)


def reopened(row: Row, status: str, facts: Mapping[str, object], lane: Lane, now: float, steps: Steps) -> Row:
    """An ended row sent on its next run, under a token that nobody holds.

    Raises IllegalStep if it has not ended or may not begin again at `status`.
    """
    if not row.ended or not steps.understood(row) or status not in steps.reopening.get(row.status, frozenset()):
        raise IllegalStep(row.status, status)
    return replace(
        row,
        status=status,
        facts=facts,
        lane=lane,
        updated_at=now,
        due_at=now,
        lease_until=0.0,
        claimable_at=0.0,
        token=Token(row.token + 1),
        claims=0,
        parked=None,
        queue=None,
        wants=0,
    )


def held(row: Row | None, token: Token) -> Row:
    """Raises LeaseLost unless `token` is still the row's own and the row has neither ended nor been handed back."""
    if row is None or row.token != token or row.ended or not row.lease_until:
        raise LeaseLost
    return row


def step(status: str, save: Save, steps: Steps) -> None:
    """Raises IllegalStep unless the table has this step, and the row ends exactly at an end."""
    if save.status not in steps.following.get(status, frozenset()):
        raise IllegalStep(status, save.status)
    if (save.due_at is None) != steps.ends(save.status):
        raise IllegalStep(status, save.status)
