"""The rules of the one table, driven in any order. `AFTERWORD_LONG=1 pytest tests/engine` is the long run."""

from hypothesis.stateful import run_state_machine_as_test

from tests.engine.rules_machine import machine, profile


def test_the_rules_hold_in_any_order_of_events() -> None:
    run_state_machine_as_test(machine(), settings=profile(examples=200, steps=50))
