"""What a run used, what goes into the books, and when a month's limit is reached."""

from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from service.domain.job import Outcome
from service.domain.pipeline import digest, from_json, to_json
from service.domain.pipelines.file import load
from service.domain.results import stored_result
from service.domain.use.books import AMOUNTS, entry_of, totals
from service.domain.use.limits import MonthlyLimit, limited, month, next_month
from service.domain.use.spending import audio_seconds, run_usage
from service.domain.use.usage import Usage
from service.engine.row import Entry
from service.ports.store import Closed
from service.stages.limits import LOOKED_AT, SPREAD, Limited
from tests.unit.event_samples import NEXT_STEPS, SUMMARY, TRANSCRIPT, TRUNCATED, job, result_of, verdict
from tests.unit.pipelines_samples import HEAD, PROMPT

HEARD = TRANSCRIPT.model_copy(update={"channels": 2, "speech_model": "universal-3-5-pro"})
ENDED = job(verdict(Outcome.COMPLETE), transcript=HEARD)
ASKED = Usage(input_tokens=420, output_tokens=16, total_tokens=436, requests=1, estimated_cost=0.0015)
ANSWER = SUMMARY.model_copy(update={"usage": ASKED})


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_a_run_counts_its_answers_its_refused_ones_and_each_channel_of_its_sound() -> None:
    refused = TRUNCATED.model_copy(update={"usage": Usage(input_tokens=9, total_tokens=9, requests=1)})
    usage = run_usage(ENDED, {"summary": ANSWER, "coaching": refused})
    assert usage == {
        "input_tokens": 429,
        "output_tokens": 16,
        "total_tokens": 445,
        "requests": 2,
        "audio_seconds": 188,
        "unpriced_requests": 1,
        "unpriced_audio_seconds": 0,
        "estimated_transcription_cost": 0.010966667,
        "estimated_cost": 0.012466667,
    }


def test_what_an_earlier_run_paid_for_is_not_counted_again() -> None:
    again = ENDED.model_copy(update={"run": 2})
    answers = {"summary": ANSWER.model_copy(update={"from_run": 1}), "next-steps": NEXT_STEPS}
    usage = run_usage(again, answers)
    assert (usage["input_tokens"], usage["audio_seconds"]) == (NEXT_STEPS.usage.input_tokens, 0)


def test_sound_is_counted_with_its_doubles_and_only_where_we_had_it_transcribed() -> None:
    assert audio_seconds(ENDED) == 2 * 94
    assert audio_seconds(ENDED.model_copy(update={"doubles": ("tr-2",)})) == 4 * 94
    assert audio_seconds(ENDED.model_copy(update={"transcript": HEARD.model_copy(update={"ours": False})})) == 0
    assert audio_seconds(ENDED.model_copy(update={"transcript": None})) == 0


def test_the_books_gain_what_the_stored_result_says_on_the_day_of_the_outcome() -> None:
    entry = entry_of(stored_result(result_of(ENDED, {"summary": ANSWER}), "r"))
    assert entry == Entry(
        account="support-calls",
        day="2026-03-02",
        amounts={
            "recordings": 1,
            "audio_seconds": 188,
            "requests": 1,
            "input_tokens": 420,
            "output_tokens": 16,
            "nanodollars": 12_466_667,
        },
    )
    assert set(entry.amounts) <= set(AMOUNTS)


def test_a_later_run_that_took_nothing_is_no_entry() -> None:
    again = ENDED.model_copy(update={"run": 2})
    answers = {"summary": ANSWER.model_copy(update={"from_run": 1})}
    assert entry_of(stored_result(result_of(again, answers), "r")) is None


@pytest.mark.parametrize(
    ("limit", "reached"),
    [
        (MonthlyLimit(dollars=0.5), None),
        (MonthlyLimit(dollars=0.25), "0.25 estimated dollars"),
        (MonthlyLimit(audio_hours=2.0), "2 hours of sound"),
        (MonthlyLimit(requests=11), None),
        (MonthlyLimit(dollars=9.0, requests=10), "10 requests"),
        (MonthlyLimit(), None),
    ],
)
def test_the_first_limit_that_is_reached_counts(limit: MonthlyLimit, reached: str | None) -> None:
    used = totals([Entry(account="a", day="d", amounts={"nanodollars": 250_000_000, "requests": 10})])
    assert limit.reached({**used, "audio_seconds": 7200}) == reached


@pytest.mark.parametrize(
    ("now", "its", "begins"),
    [
        ("2026-11-30T23:59:59", "2026-11", "2026-12-01"),
        ("2026-12-01T00:00:00", "2026-12", "2027-01-01"),
        ("2028-02-29T12:00:00", "2028-02", "2028-03-01"),
    ],
)
def test_a_month_is_the_calendars_in_utc(now: str, its: str, begins: str) -> None:
    assert month(epoch(now)) == its
    assert next_month(epoch(now)) == epoch(begins)


@pytest.mark.parametrize("now", ["2026-11-02T00:00:00", "2026-11-30T23:00:00"])
def test_what_waits_comes_due_by_itself_within_a_day_and_spread_over_the_start_of_the_month(now: str) -> None:
    closed = Closed(gate="limit:calls", since=0.0, next_probe_at=0.0, pause=0.0, reason="x")
    dues = [Limited(closed, epoch(now)).until(Random(seed)) for seed in range(50)]
    assert max(dues) - min(dues) > SPREAD / 2
    assert max(dues) <= epoch(now) + LOOKED_AT * 1.1
    if now.startswith("2026-11-30"):
        assert min(dues) >= epoch("2026-12-01")


def test_a_limit_is_read_from_the_file_and_is_no_part_of_what_a_run_is_bound_to(tmp_path: Path) -> None:
    path = tmp_path / "pipelines.toml"
    path.write_text(f"{HEAD}{PROMPT}")
    (free,) = load(path).pipelines.pipelines
    path.write_text(f"{HEAD}monthly_limit = {{ dollars = 50.0, requests = 9 }}\n{PROMPT}")
    (bounded,) = load(path).pipelines.pipelines
    assert bounded.monthly_limit == MonthlyLimit(dollars=50.0, requests=9)
    assert digest(bounded) == digest(free)
    assert from_json(to_json(bounded)) == free


def test_the_gates_of_limits_are_told_from_others() -> None:
    assert limited("limit:calls") == "calls"
    assert [limited(gate) for gate in ("balance", "model:limit", None)] == [None, None, None]
