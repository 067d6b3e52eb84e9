"""The machine that finds no fault with the rules must find each of these bugs: each was in a model once."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis.stateful import run_state_machine_as_test

from service.engine import rules
from service.engine.errors import LeaseLost
from service.engine.row import Callback, Heard, Row, Save, Token
from tests.engine.rules_machine import machine, profile


def planted(**bugs: object) -> SimpleNamespace:
    """The rules, but for these."""
    return SimpleNamespace(**{**vars(rules), **bugs})


def one_field_claimable(row: Row, now: float) -> bool:
    return row.due_at is not None and row.due_at <= now


def one_field_claimed(row: Row, now: float, lease: float) -> Row:
    return replace(rules.claimed(row, now, lease), due_at=now + lease + rules.pause(row.claims + 1))


def one_field_renewed(row: Row, token: Token, now: float, lease: float, *, progress: bool = False) -> Row:
    held = rules.renewed(row, token, now, lease, progress=progress)
    return replace(held, due_at=now + lease + rules.pause(held.claims))


def test_lease_and_due_time_in_one_field_are_found_out() -> None:
    bug = planted(claimable=one_field_claimable, claimed=one_field_claimed, renewed=one_field_renewed)
    with pytest.raises(AssertionError, match=r"two hold the row|a callback was lost|no rest"):
        run_state_machine_as_test(machine(bug), settings=profile(5000, 50, shrink=False))


def overwriting_saved(row: Row, token: Token, save: Save, now: float, steps: rules.Steps) -> Row:
    return replace(rules.saved(row, token, save, now, steps), due_at=save.due_at)


def test_a_save_that_overwrites_a_callback_is_found_out() -> None:
    with pytest.raises(AssertionError, match="a callback was lost"):
        run_state_machine_as_test(machine(planted(saved=overwriting_saved)), settings=profile(5000, 50, shrink=False))


def resubjecting_saved(row: Row, token: Token, save: Save, now: float, steps: rules.Steps) -> Row:
    unnamed = replace(row, subject=None)
    return replace(rules.saved(unnamed, token, save, now, steps), subject=save.subject or row.subject)


def test_a_callback_refused_before_its_subject_was_ours_is_found_out() -> None:
    with pytest.raises(AssertionError, match="a callback was lost"):
        run_state_machine_as_test(machine(planted(saved=resubjecting_saved)), settings=profile(5000, 50, shrink=False))


def unfenced_saved(row: Row, token: Token, save: Save, now: float, steps: rules.Steps) -> Row:
    if row.ended:
        raise LeaseLost
    held = replace(row, lease_until=row.lease_until or now)
    return rules.saved(held, held.token, save, now, steps)


def test_a_save_without_fencing_is_found_out() -> None:
    with pytest.raises(AssertionError, match="who does not hold the row"):
        run_state_machine_as_test(machine(planted(saved=unfenced_saved)), settings=profile(5000, 50, shrink=False))


def test_a_verdict_told_before_it_is_saved_is_found_out() -> None:
    with pytest.raises(AssertionError, match="two verdicts were told"):
        run_state_machine_as_test(machine(tells_first=True), settings=profile(5000, 50, shrink=False))


def forgetful_handed_back(row: Row | None, token: Token) -> Row:
    if row is None or row.token != token or row.ended:
        raise LeaseLost
    return row


def test_a_token_that_outlives_its_hand_back_is_found_out() -> None:
    def renewed(row: Row, token: Token, now: float, lease: float, *, progress: bool = False) -> Row:
        held = forgetful_handed_back(row, token)
        return rules.renewed(replace(held, lease_until=held.lease_until or now), token, now, lease, progress=progress)

    with pytest.raises(AssertionError, match="who does not hold the row"):
        run_state_machine_as_test(machine(planted(renewed=renewed)), settings=profile(5000, 50, shrink=False))


def restless_claimed(row: Row, now: float, lease: float) -> Row:
    return replace(rules.claimed(row, now, lease), claimable_at=now + lease)


def test_fruitless_claims_without_a_rest_are_found_out() -> None:
    with pytest.raises(AssertionError, match="no rest"):
        run_state_machine_as_test(machine(planted(claimed=restless_claimed)), settings=profile(5000, 50, shrink=False))


def test_who_is_called_up_from_under_a_worker_is_found_out() -> None:
    def callable_from(row: Row, queue: str, now: float) -> bool:
        return row.due_at is not None and row.queue == queue

    bug = planted(callable_from=callable_from)
    with pytest.raises(AssertionError, match="two hold the row"):
        run_state_machine_as_test(machine(bug), settings=profile(5000, 50, shrink=False))


def test_who_is_called_up_and_keeps_a_late_due_time_is_found_out() -> None:
    def called_up(row: Row, now: float, lease: float) -> Row:
        return replace(rules.claimed(row, now, lease), due_at=now + 5_000.0, queue=None, wants=0)

    with pytest.raises(AssertionError, match="nobody will ever look at it again"):
        run_state_machine_as_test(machine(planted(called_up=called_up)), settings=profile(5000, 50, shrink=False))


def uncounting_callback(row: Row, callback: Callback, now: float, steps: rules.Steps) -> tuple[Row, Heard]:
    after, heard = rules.called_back(row, callback, now, steps)
    return replace(after, callbacks=row.callbacks), heard


def test_a_callback_that_is_not_counted_is_found_out() -> None:
    with pytest.raises(AssertionError, match="a callback was lost"):
        run_state_machine_as_test(
            machine(planted(called_back=uncounting_callback)), settings=profile(5000, 50, shrink=False)
        )
