"""A job as people see it."""

from dataclasses import replace

import orjson

from service.domain.job import Status
from service.domain.views import view
from tests.ops.conftest import NOW, job


def test_a_view_is_json_as_it_is() -> None:
    shown = view(job("job_1"))
    assert orjson.loads(orjson.dumps(shown)) == shown


def test_a_view_says_where_a_job_stands_and_when_it_is_looked_at() -> None:
    shown = view(replace(job("job_1"), lease_until=NOW, parked="balance", claims=2))
    assert (shown["status"], shown["lane"], shown["pipeline"]) == ("submitted", "fresh", "calls")
    assert (shown["due_at"], shown["leased_until"]) == ("2023-11-14T22:13:25.000Z", "2023-11-14T22:13:20.000Z")
    assert (shown["parked"], shown["claims_without_progress"]) == ("balance", 2)
    assert shown["trouble"] == {
        "attempts": 2,
        "since": "2023-11-14T22:12:20.000Z",
        "last": "no answer from https://x.example/?***",
    }


def test_an_ended_job_shows_its_verdict_and_no_due_time() -> None:
    shown = view(job("job_1", Status.FAILED))
    assert (shown["due_at"], shown["leased_until"]) == (None, None)
    assert shown["verdict"] == {
        "outcome": "failed",
        "at": "2023-11-14T22:13:20.000Z",
        "error": None,
        "skipped": None,
    }


def test_facts_of_another_version_are_left_out_and_said_to_be() -> None:
    shown = view(replace(job("job_1"), facts={"from": "the future"}))
    assert (shown["id"], shown["readable"]) == ("job_1", False)
    assert "recording" not in shown
