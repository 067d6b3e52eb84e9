"""What Prometheus scrapes."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.domain.tally import CALLBACKS, CALLBACKS_LOST, COUNTERS, GAUGES, LAST_CALLBACK, TOKENS, NoTally, Tally
from service.engine.errors import StoreTrouble
from service.ops.metrics import Metrics
from service.ports.budget import Standing
from tests.ops.conftest import NOW, Private

pytestmark = pytest.mark.anyio


async def scraped(private: Private) -> dict[str, float]:
    answer = await private.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(answer.text))
    return {
        sample.name + "".join(f",{name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


async def test_all_names_begin_alike(private: Private) -> None:
    for name, labels in COUNTERS.items():
        private.metrics.count(name, **dict.fromkeys(labels, "x"))
    names = {name.partition(",")[0] for name in await scraped(private)}
    assert names >= set(COUNTERS) | GAUGES
    assert all(name.startswith("afterword_") for name in names)


async def test_lost_callbacks_are_shown_before_the_first_is_lost(private: Private) -> None:
    assert (await scraped(private))["afterword_callbacks_lost_total"] == 0
    private.metrics.count(CALLBACKS_LOST)
    assert (await scraped(private))["afterword_callbacks_lost_total"] == 1


async def test_counters_add_up_by_label(private: Private) -> None:
    private.metrics.count(CALLBACKS, result="counted")
    private.metrics.count(TOKENS, 250, direction="input")
    private.metrics.count(TOKENS, 50, direction="input")
    private.metrics.gauge(LAST_CALLBACK, NOW)
    now = await scraped(private)
    assert now["afterword_callbacks_total,result=counted"] == 1
    assert now["afterword_tokens_total,direction=input"] == 300
    assert now["afterword_last_callback_timestamp_seconds"] == NOW


async def test_who_waits_for_a_model_is_counted_apart_from_what_is_parked(private: Private) -> None:
    private.shelf.models = [
        Standing(model="m", allowance=30, granted=30, ends_at=NOW + 9, queued=2, requests=7, seconds=14.0)
    ]
    now = await scraped(private)
    assert (now["afterword_queued_jobs,model=m"], now["afterword_queued_requests,model=m"]) == (2, 7)
    assert now["afterword_parked_jobs"] == 2
    assert now["afterword_backlog_seconds"] == 14


async def test_the_table_is_counted_by_status_and_lane(private: Private) -> None:
    now = await scraped(private)
    assert now["afterword_jobs,lane=fresh,status=submitted"] == 3
    assert now["afterword_jobs,lane=backfill,status=received"] == 2
    assert now["afterword_parked_jobs"] == 2
    assert now["afterword_oldest_due_seconds"] == 40
    assert now["afterword_store_up"] == 1


async def test_the_backlog_is_what_waits_for_us_at_the_rate_of_ten_minutes(private: Private) -> None:
    assert "afterword_backlog_seconds" not in await scraped(private)
    private.shelf.ended, private.at = 5, 3.0
    assert (await scraped(private))["afterword_backlog_seconds"] == 2 * 600 / 5
    assert private.shelf.asked == {"since": NOW - 600}


async def test_the_table_is_read_at_most_every_three_seconds(private: Private) -> None:
    await asyncio.gather(*(scraped(private) for _ in range(5)))
    assert private.shelf.counted == 1
    private.at = 3.0
    await scraped(private)
    assert private.shelf.counted == 2


async def test_while_the_store_fails_the_counters_are_still_there(private: Private) -> None:
    private.shelf.trouble = StoreTrouble("locked")
    now = await scraped(private)
    assert now["afterword_store_up"] == 0
    assert "afterword_callbacks_lost_total" in now
    assert not [name for name in now if name.startswith(("afterword_jobs", "afterword_parked"))]


async def test_a_store_that_hangs_is_not_waited_for_nor_asked_twice(private: Private) -> None:
    private.shelf.hang = asyncio.Event()
    assert (await scraped(private))["afterword_store_up"] == 0
    assert (await scraped(private))["afterword_store_up"] == 0
    assert private.shelf.counted == 1
    private.shelf.hang.set()
    assert (await scraped(private))["afterword_store_up"] == 1


async def test_two_applications_count_apart() -> None:
    one, other = Metrics.create(), Metrics.create()
    one.count(CALLBACKS_LOST)
    assert b"afterword_callbacks_lost_total 1.0" in one.page()
    assert b"afterword_callbacks_lost_total 0.0" in other.page()


@pytest.mark.parametrize("name", ["afterword_unheard_of_total", CALLBACKS])
def test_a_name_or_a_label_that_nobody_declared_is_a_bug(name: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        Metrics.create().count(name, colour="red")


def test_counting_nothing_is_a_tally_too() -> None:
    tally: Tally = NoTally()
    tally.count(CALLBACKS, result="counted")
    tally.gauge(LAST_CALLBACK, 1.0)
