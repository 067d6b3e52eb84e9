"""Single rules, where a figure matters."""

from dataclasses import replace
from random import Random

import pytest

from service.engine import rules
from service.engine.errors import IllegalStep
from service.engine.row import Callback, Heard, Lane, Row, RowId, Save

STEPS = rules.Steps(
    following={"new": {"new", "looked"}, "looked": {"looked", "done"}, "done": set()},
    listening={"new"},
    reopening={"done": {"looked"}},
)
ROW = Row(id=RowId("row"), status="new", created_at=0.0, updated_at=0.0, due_at=0.0)


def test_rests_grow_and_are_bounded() -> None:
    rests = [rules.pause(claims) for claims in range(12)]
    assert rests == [0, 0, 5, 10, 20, 40, 80, 160, 300, 300, 300, 300]
    assert rules.pause(1_000_000) == 300


def test_ten_fruitless_claims_take_a_quarter_of_an_hour() -> None:
    row, now = ROW, 0.0
    for _ in range(rules.CLAIMS_AT_MOST):
        now = max(now, row.claimable_at)
        row = rules.claimed(row, now, 30.0)
    assert row.claims == rules.CLAIMS_AT_MOST
    assert 800 < now < 1_300


@pytest.mark.parametrize(
    ("status", "due_at"), [("done", None), ("gone", 1.0), ("new", None)], ids=["skips", "unknown", "ends nowhere"]
)
def test_steps_that_are_not_in_the_table_are_refused(status: str, due_at: float | None) -> None:
    held = rules.claimed(ROW, 0.0, 30.0)
    with pytest.raises(IllegalStep):
        rules.saved(held, held.token, Save(status=status, facts={}, due_at=due_at), 1.0, STEPS)


def test_an_end_must_not_come_due() -> None:
    held = rules.claimed(replace(ROW, status="looked"), 0.0, 30.0)
    with pytest.raises(IllegalStep):
        rules.saved(held, held.token, Save(status="done", facts={}, due_at=5.0), 1.0, STEPS)


def test_a_callback_in_a_status_that_does_not_listen_is_counted_and_changes_no_due_time() -> None:
    row = replace(ROW, status="looked", due_at=600.0)
    after, heard = rules.called_back(row, Callback(row_id=row.id, subject=None), 5.0, STEPS)
    assert (heard, after.callbacks, after.due_at) == (Heard.COUNTED, 1, 600.0)


def test_a_gate_that_opens_leaves_lease_and_ended_rows_alone() -> None:
    held = rules.claimed(replace(ROW, parked="gate"), 0.0, 30.0)
    freed = rules.unparked(replace(held, due_at=300.0), 7.0)
    assert (freed.due_at, freed.parked, freed.lease_until) == (7.0, None, held.lease_until)
    ended = replace(ROW, status="done", due_at=None)
    assert rules.unparked(ended, 7.0) == ended


def test_every_eighth_pick_is_the_longest_due_of_all_and_the_others_are_fresh() -> None:
    fresh = [(100.0 + number, RowId(f"f{number}")) for number in range(100)]
    backfill = [(float(number), RowId(f"b{number}")) for number in range(100)]
    chosen = rules.picked(fresh, backfill, 24, 4, Random(1))
    assert [number for number, name in enumerate(chosen, 5) if name.startswith("b")] == [8, 16, 24]
    assert [name for name in chosen if name.startswith("b")] == ["b0", "b1", "b2"]
    assert len(set(chosen)) == 24


def test_backfill_is_picked_when_nothing_fresh_is_left() -> None:
    assert set(rules.picked([(1.0, RowId("f"))], [(2.0, RowId("b"))], 9, 0, Random(1))) == {"f", "b"}
    assert rules.picked([], [], 9, 0, Random(1)) == []


def test_a_run_begins_again_only_where_the_table_says() -> None:
    ended = replace(ROW, status="done", due_at=None)
    assert rules.reopened(ended, "looked", {}, Lane.FRESH, 5.0, STEPS).due_at == 5.0
    for row, status in ((ended, "new"), (ROW, "looked"), (replace(ended, schema=2), "looked")):
        with pytest.raises(IllegalStep):
            rules.reopened(row, status, {}, Lane.FRESH, 5.0, STEPS)
