"""Any engine beside any other: each mixture does the main job."""

from pathlib import Path

import pytest

from tests.cloud import Cloud
from tests.emulator import Emulator
from tests.standin import totals

pytestmark = pytest.mark.anyio

MIXTURES = {
    "one small machine: SQLite beside S3, SQS and SNS": {"JOBS": "sqlite:///{folder}/jobs.db"},
    "a folder's files on the fleet's store": {"DROPS": "{folder}/inbox"},
    "announced objects, everything else here": {
        "JOBS": "sqlite:///{folder}/jobs.db",
        "RESULTS": "{folder}/results",
        "EVENTS": "{folder}/events.jsonl",
    },
    "a folder's files, told to a topic": {
        "DROPS": "{folder}/inbox",
        "JOBS": "sqlite:///{folder}/jobs.db",
        "RESULTS": "{folder}/results",
    },
}


@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES.keys())
async def test_engines_may_be_mixed(tmp_path: Path, standin: str, emulator: Emulator, mixture: dict[str, str]) -> None:
    places = {f"AFTERWORD_{what}": place.format(folder=tmp_path) for what, place in mixture.items()}
    cloud = Cloud(tmp_path, standin, emulator, **places)
    for name in ("a b.wav", "c+ü.wav"):
        cloud.drop(name, f"This is {name}.")
    async with cloud.serving():
        events = await cloud.heard(2)
    for event in events:
        key = event["data"]["recording"]["key"]
        assert event["data"]["outcome"] == "complete"
        assert event["subject"].startswith("file://" if "DROPS" in mixture else f"s3://{cloud.recordings}/")
        assert event["data"]["files"]["result"].startswith("file://" if "RESULTS" in mixture else "s3://")
        assert f"This is {key}." in cloud.words(event["data"])
    assert len(cloud.keys("/result.json")) == 2
    found = totals(standin)
    assert (found["submissions"], found["transcripts_billed"], found["asks_billed"]) == (2, 2, 6)
    rows = await cloud.rows()
    assert set(rows) == {"a b.wav", "c+ü.wav"}
    assert all(row.ended for row in rows.values())
