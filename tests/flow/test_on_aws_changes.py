"""Objects that are overwritten or deleted on the way: what was announced is transcribed, or its end is told."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.stages import callback
from tests.cloud import Cloud
from tests.emulator import Emulator
from tests.premises import eventually
from tests.standin import QUICK, running, totals

pytestmark = pytest.mark.anyio

BEFORE = ("overwritten-at-once.wav", "deleted-at-once.wav")
MEANWHILE = ("overwritten-later.wav", "deleted-later.wav")


async def befallen(cloud: Cloud) -> tuple[Mapping[str, str], Mapping[str, str], Mapping[str, Any]]:
    """Each key's first and second job, and what was told of each: changed before its submission, or before its end."""
    first = {key: cloud.put(key, f"The first words in {key}.") for key in (*BEFORE, *MEANWHILE)}
    second = {BEFORE[0]: cloud.put(BEFORE[0], f"Other words in {BEFORE[0]}.")}
    cloud.delete(BEFORE[1])
    async with cloud.serving():
        submitted = {first[key] for key in MEANWHILE}
        await eventually(lambda: submitted <= {item["pk"]["S"][4:] for item in cloud.items() if "subject" in item})
        second[MEANWHILE[0]] = cloud.put(MEANWHILE[0], f"Other words in {MEANWHILE[0]}.")
        cloud.delete(MEANWHILE[1])
        events = await cloud.heard(len(first) + len(second))
    assert len(cloud.deliveries) == len(events)
    return first, second, {event["data"]["job_id"]: event["data"] for event in events}


async def test_without_versions_what_was_replaced_is_told_and_no_words_are_anothers(
    tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback, "FIRST_RESUBMISSION", 0.05)
    with running(replace(QUICK, queue_seconds=1.0, gateway_limit=100_000)) as standin:
        cloud = Cloud(tmp_path, standin, emulator)
        first, second, told = await befallen(cloud)
        found = totals(standin)
    for key, made in second.items():
        assert told[made]["outcome"] == "complete"
        assert f"Other words in {key}." in cloud.words(told[made])
    for key, made in first.items():
        gone = key.startswith("deleted")
        assert told[made]["error"]["code"] == ("recording_missing" if gone else "recording_replaced")
        assert told[made]["answers"] == {}
        assert not {"transcript_txt", "transcript_json"} & told[made]["files"].keys()
        # Only there the vendor found something to read, which is not what was announced.
        assert (told[made]["transcript"] is None) == (key != MEANWHILE[0])
        assert not cloud.keys(f"{made}/transcript") + cloud.keys(f"{made}/answers")
    # What was changed before its turn is never paid for; what the vendor could not fetch, it does not bill.
    assert found["submissions"] == len(MEANWHILE) + len(second)
    assert found["asks_billed"] == 3 * len(second)


async def test_with_versions_each_recording_has_its_own_words_whatever_came_later(
    tmp_path: Path, emulator: Emulator
) -> None:
    with running(replace(QUICK, queue_seconds=1.0, gateway_limit=100_000)) as standin:
        cloud = Cloud(tmp_path, standin, emulator, versioned=True)
        first, second, told = await befallen(cloud)
        found = totals(standin)
    for said, jobs in (("The first", first), ("Other", second)):
        for key, made in jobs.items():
            assert told[made]["outcome"] == "complete"
            assert told[made]["recording"]["version"]
            assert f"{said} words in {key}." in cloud.words(told[made])
    assert found["submissions"] == found["transcripts_billed"] == len(first) + len(second)
