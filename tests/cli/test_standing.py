"""What a job waits for, in words, and figures as people read them."""

import asyncio
from dataclasses import replace

import pytest

from service.cli import figures
from service.cli.screen import clean, columns
from service.cli.standing import standing, waits
from service.cli.status import Picture, lines, view
from service.domain.errors import Code
from service.domain.job import Failure, Status, Trouble
from service.engine.row import Row
from service.ports.budget import Standing
from service.ports.store import Closed, Count, Lately
from service.settings.groups import JobStore, Work
from service.settings.load import Settings
from service.wiring import amazon, opened_store
from tests.cli.desk import Desk
from tests.cli.rows import FAILURE, job, row

NOW = 1000.0
TROUBLE = Trouble(attempts=3, since=1.0, last="the vendor answered 503")
DOUBT = Failure(code=Code.SUBMISSION_IN_DOUBT, message="nobody knows")
SHUT = Closed(gate="gateway", since=900.0, next_probe_at=1100.0, pause=4.0, reason="no entitlement")


def troubled(status: Status, **more: float) -> Row:
    return row("a", status, facts=job("a", status, trouble=TROUBLE), **more)


@pytest.mark.parametrize(
    ("waiting", "what", "until", "send_on"),
    [
        (row("a", Status.PUBLISHED), "nothing", None, None),
        (row("a", Status.FAILED), "a person: it has failed", None, "afterword jobs retry a"),
        (row("a", Status.FAILED, facts=job("a", Status.FAILED, failure=DOUBT)), "a person", None, "dashboard that"),
        (row("a", Status.RECEIVED), "a worker", None, "`afterword serve`"),
        (row("a", Status.RECEIVED, due_at=1200.0), "its due time", 1200.0, None),
        (row("a", Status.DECIDED, lease_until=1010.0), "a worker is at it (publishing)", 1010.0, None),
        (row("a", Status.SUBMITTED, due_at=1200.0), "AssemblyAI's callback", 1200.0, None),
        (row("a", Status.TRANSCRIBED, due_at=1200.0), "the next try of a prompt", 1200.0, None),
        (row("a", Status.DECIDED, due_at=1200.0), "redacted audio", 1200.0, None),
        (row("a", Status.TRANSCRIBED, queue="model:m", wants=2, due_at=1200.0), "its turn at m", 1200.0, None),
        (row("a", Status.RECEIVED, claims=4, claimable_at=1300.0), "4 workers came no further", 1300.0, None),
        (troubled(Status.RECEIVED, due_at=1200.0), "3 that failed: the vendor answered 503", 1200.0, None),
        (row("a", Status.TRANSCRIBED, parked="gateway"), "no entitlement", 1100.0, "may use the LLM Gateway"),
        (row("a", Status.TRANSCRIBED, parked="balance", due_at=1200.0), "the next try", 1200.0, None),
    ],
)
def test_what_a_job_waits_for(waiting: Row, what: str, until: float | None, send_on: str | None) -> None:
    found = waits(waiting, [SHUT], NOW)
    assert what in found.what
    assert found.until == until
    assert found.send_on == send_on if send_on is None else send_on in str(found.send_on)


def test_a_failure_that_would_come_again_is_sent_on_with_the_changed_pipeline() -> None:
    for code in (Code.PROMPT_TRUNCATED, Code.PROMPT_TOO_LONG, Code.PROMPT_BLOCKED):
        again = Failure(code=code, message="it would come again")
        failed = job("a", Status.FAILED).model_copy(update={"prompt_failures": {"b": FAILURE, "c": again}})
        assert "afterword jobs retry a --repin" in str(waits(row("a", Status.FAILED, facts=failed), [], NOW).send_on)
    silent = job("a", Status.FAILED, failure=Failure(code=Code.NO_SPEECH, message="no spoken audio"))
    assert "afterword jobs retry a --repin" in str(waits(row("a", Status.FAILED, facts=silent), [], NOW).send_on)


def test_what_a_newer_version_wrote_is_shown_as_far_as_it_can_be() -> None:
    newer = replace(row("a", Status.RECEIVED), status="polished", facts={"sparkle": 1}, due_at=None)
    shown = standing(newer)
    assert (shown.name, shown.doing, shown.more) == ("a", "polished", "written by a newer version")
    assert waits(newer, [], NOW).send_on == "upgrade this one"


@pytest.mark.parametrize(
    ("waiting", "more"),
    [
        (row("a", Status.PUBLISHED), "complete"),
        (row("a", Status.FAILED), "prompt_failed: it was cut off"),
        (row("a", Status.SUBMITTED, parked="balance"), "waits for the account (balance)"),
        (row("a", Status.TRANSCRIBED, queue="model:m"), "waits for its turn at m"),
        (troubled(Status.SUBMITTED), "trying again: the vendor answered 503"),
        (row("a", Status.SUBMITTED, facts=job("a", Status.SUBMITTED).model_copy(update={"run": 3})), "run 3"),
        (row("a", Status.SUBMITTED), ""),
    ],
)
def test_what_is_said_beside_a_stage(waiting: Row, more: str) -> None:
    assert standing(waiting).more == more


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (figures.size(999), "999 B"),
        (figures.size(1_000), "1.0 kB"),
        (figures.size(1_234_567_890), "1.2 GB"),
        (figures.size(5 * 10**15), "5,000.0 TB"),
        (figures.lasting(-5), "0 s"),
        (figures.lasting(119), "119 s"),
        (figures.lasting(120), "2 min"),
        (figures.lasting(7_300), "2 h"),
        (figures.lasting(86_400 * 3), "3 d"),
        (figures.count(1, "entry", "entries"), "1 entry"),
        (figures.count(2_000, "entry", "entries"), "2,000 entries"),
        (figures.when(60.0, 0.0), "1970-01-01 00:01:00Z (in 60 s)"),
        (figures.when(0.0, 60.0), "1970-01-01 00:00:00Z (60 s ago)"),
    ],
)
def test_figures_are_read_at_a_glance(told: str, said: str) -> None:
    assert told == said


def test_columns_stand_below_each_other_whatever_the_script() -> None:
    assert columns([("录音", "x"), ("a", "y"), ("\x1b\udcff", "")]) == [
        "录音" + " " * 8 + "x",
        "a" + " " * 11 + "y",
        "\\x1b\\udcff",
    ]
    assert columns([]) == []
    assert clean("a\nb\t\u202e\udcff") == "a\\nb\\t\\u202e\\udcff"


def test_the_status_tells_for_each_model_what_is_used_and_who_waits() -> None:
    models = (
        Standing(model="a-1", allowance=30, granted=28, ends_at=NOW + 40, queued=12, requests=48, seconds=96.0),
        Standing(model="b-2", allowance=None, granted=0, ends_at=None, queued=0, requests=0, seconds=0.0),
    )
    counts = [Count(status="transcribed", lane="backfill", rows=12, due=0, parked=0, oldest_due_at=None)]
    found = Picture(
        now=NOW, counts=counts, lately=Lately(ended=0, last_callback_at=None), models=models, closed=(), digest="d"
    )
    told = [line.split() for line in lines(found)]
    assert ["a-1", "28", "of", "30", "in", "40", "s", "12", "48", "96", "s"] in told
    assert ["b-2", "no", "limit", "known", "-", "-", "-", "-"] in told
    assert ["queued", "12", "jobs"] in told
    assert ["backlog", "about", "96", "s", "at", "the", "present", "rate"] in told
    assert view(found)["models"][0] == {
        "model": "a-1",
        "allowance": 30,
        "used": 28,
        "next_window_at": "1970-01-01T00:17:20.000Z",
        "queued": 12,
        "queued_requests": 48,
        "backlog_seconds": 96.0,
    }


def test_status_tells_of_the_share_that_is_ours_and_needs_no_key(desk: Desk) -> None:
    place = {"AFTERWORD_JOBS": f"sqlite:///{desk.folder}/jobs.db"}
    desk.dotenv({**place, "AFTERWORD_LLM_SHARE": "0.5"})

    async def heard() -> None:
        with amazon() as aws:
            async with opened_store(Settings.load(place, None, [JobStore, Work]), aws) as store:
                await store.budgets.change("m", lambda window: replace(window, heard=True, limit=30))

    asyncio.run(heard())
    (model,) = desk("status", "--json").json["models"]
    assert (model["model"], model["allowance"]) == ("m", 15)
