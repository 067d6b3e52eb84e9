"""Fixtures of the contract suites."""

from tests.contract.storing import clock, store, stores  # noqa: F401  # fixtures are found by being here
