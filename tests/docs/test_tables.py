"""The tables in the documentation that speak of code are the code's own."""

import re
from importlib import import_module

import pytest

from service.domain import happened, tally
from service.domain.errors import Code
from service.domain.job import STEPS, Status
from service.http.receiver_table import ANSWERS, Result
from service.ops.heartbeat import figures
from service.ops.metrics import Metrics
from service.ports.budget import Standing
from service.ports.store import Count, Lately
from service.simulator.rules import EVENTS, HTTP, KINDS, MATCHES
from service.stages.overview import Overview
from tests.docs.pages import ROOT, code, read, section, table

ARCHITECTURE = ROOT / "docs" / "architecture.md"
OPERATIONS = ROOT / "docs" / "operations.md"
SIMULATOR = ROOT / "docs" / "simulator.md"


def used(module: str, names: set[str]) -> set[str]:
    """Which of the constants that `module` defines are named anywhere else in the service."""
    files = [path for path in (ROOT / "service").rglob("*.py") if path != ROOT / module]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return {name for name in names if re.search(rf"\b{name}\b", text)}


def constants(module: object) -> set[str]:
    return {name for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}


def test_the_legal_steps_are_the_engines() -> None:
    rows = table(section(ARCHITECTURE, "### Legal steps"), "status")
    assert [code(row[0])[0] for row in rows] == list(Status)
    for status, following, listens, reopening in ((code(row[0])[0], *row[1:]) for row in rows):
        stays = {status} if "stays" in following else set()
        assert set(code(following)) | stays == STEPS.following[status]
        assert ("ended" in following) == STEPS.ends(status)
        assert (listens == "yes") == (status in STEPS.listening)
        assert set(code(reopening)) == STEPS.reopening.get(status, frozenset())


def test_every_code_of_a_failure_has_its_meaning_and_its_cure() -> None:
    rows = table(section(OPERATIONS, "## Failed jobs by code"), "code")
    assert [code(row[0])[0] for row in rows] == list(Code)
    assert all(meaning and cure for _, meaning, cure in rows)


def test_every_answer_to_a_callback_is_the_receivers() -> None:
    rows = table(section(OPERATIONS, "## What a callback is answered"), "result")
    told = {code(row[0])[0]: row[1] for row in rows}
    assert told.keys() == set(Result)
    assert {name: int(status) for name, status in told.items() if status != "none"} == {
        result.value: status for result, (status, _) in ANSWERS.items()
    }


MODEL = Standing(model="m", allowance=30, granted=1, ends_at=9.0, queued=2, requests=6, seconds=12.0)


def test_the_metrics_are_those_that_are_counted_and_scraped() -> None:
    rows = table(section(OPERATIONS, "## Metrics"), "metric")
    told = {code(row[0])[0]: set(code(row[1])) for row in rows}
    counted = {vars(tally)[name] for name in used("service/domain/tally.py", constants(tally))}
    metrics = Metrics.create()
    counts = [Count(status="s", lane="l", rows=1, due=1, parked=0, oldest_due_at=0.0)]
    metrics.standing.seen = Overview(
        now=0.0, counts=counts, lately=Lately(ended=0, last_callback_at=None), models=[MODEL]
    )
    standing = {family.name: set(family.samples[0].labels) for family in metrics.standing.collect()}
    labels = {name: set(tally.COUNTERS.get(name, ())) for name in counted}
    assert told == labels | standing


def test_the_fields_of_a_heartbeat_are_all_told() -> None:
    told = [code(row[0])[0] for row in table(section(OPERATIONS, "## Metrics"), "field")]
    seen = Overview(now=0.0, counts=(), lately=Lately(ended=0, last_callback_at=None))
    assert set(told) == {"lost", *figures(seen)}
    assert figures(seen).keys() == figures(None).keys()


def test_the_log_events_are_those_that_can_be_logged() -> None:
    rows = table(section(OPERATIONS, "## Log"), "event")
    told = [name for row in rows for name in code(row[0])]
    logged = {vars(happened)[name] for name in used("service/domain/happened.py", constants(happened))}
    assert len(told) == len(set(told))
    assert set(told) == logged


LIMITS = [(code(row[2])[0], row[1]) for row in table(section(OPERATIONS, "## Limits"), "limit") if row[2]]


@pytest.mark.parametrize(("constant", "told"), LIMITS)
def test_a_limit_is_the_codes(constant: str, told: str) -> None:
    parts = constant.split(".")
    depth = next(at for at in range(len(parts), 0, -1) if (ROOT / "/".join(parts[:at])).with_suffix(".py").is_file())
    value: object = import_module(".".join(parts[:depth]))
    for name in parts[depth:]:
        value = getattr(value, name)
    assert value == float(told.replace(",", ""))


def test_the_fault_dial_is_the_stand_ins() -> None:
    text = section(SIMULATOR, "## The fault dial")
    actions = {code(row[0])[0]: row for row in table(text, "action")}
    assert list(actions) == list(KINDS)
    for name, kind in KINDS.items():
        on = HTTP if actions[name][1] == "every HTTP call" else tuple(code(actions[name][1]))
        assert (on, tuple(code(actions[name][2]))) == (kind.on, tuple(kind.parameters)), name
    (calls,) = [line for line in text.splitlines() if line.startswith("Calls:")]
    assert set(code(calls)) == set(EVENTS)
    (match,) = [row[1] for row in table(text, "in any rule") if "match" in row[0]]
    assert set(code(match)) == set(MATCHES)


def test_every_promise_names_tests_and_rooms_that_exist() -> None:
    text = read(ARCHITECTURE)
    rows = table(text, "promise")
    assert len(rows) == 12
    for promise, rooms, tests in rows:
        assert code(rooms), promise
        assert code(tests), promise
