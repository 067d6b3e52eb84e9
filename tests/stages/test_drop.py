"""A recording becomes one job, however often it arrives."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.adapters.drops.describe import describe
from service.adapters.drops.folder import Folder
from service.domain.errors import Unavailable
from service.domain.identity import job_id
from service.domain.job import JobId, Status
from service.domain.pipeline import Pipelines
from service.domain.places import place
from service.domain.targets import TranscriptTarget, UrlTarget, from_transcript, from_url
from service.engine.errors import StoreTrouble
from service.engine.row import Lane, Row, RowId
from service.stages.drop import Received
from tests.contract.dropping import until
from tests.stages.drop_scene import NOW, PIPELINES, Scene, pipeline, recording, scene

pytestmark = pytest.mark.anyio

__all__ = ["scene"]


async def test_a_recording_becomes_a_job_that_is_due_now(scene: Scene) -> None:
    dropped = recording()
    await scene.drop.take(dropped, ["file:calls/one.mp3:5:1"])
    [row] = scene.table.rows.values()
    assert row == Row(
        id=RowId(job_id("afterword", dropped)),
        status=Status.RECEIVED,
        lane=Lane.FRESH,
        facts=row.facts,
        created_at=NOW,
        updated_at=NOW,
        due_at=NOW,
    )
    [job] = scene.jobs()
    assert (job.id, job.pipeline, job.recording) == (row.id, "calls", dropped)
    assert [(moment.at, moment.run, moment.status) for moment in job.timeline] == [(NOW, 1, Status.RECEIVED)]
    assert set(scene.table.names) == {"file:///in/calls/one.mp3", "file:calls/one.mp3:5:1"}
    assert scene.woken == [row.id]
    assert scene.tally.counts == {"afterword_drops_total received": 1}


async def test_the_second_arrival_makes_nothing_but_its_name_is_kept(scene: Scene) -> None:
    first = await scene.drop.receive(recording(), pipeline=PIPELINES.pipelines[0], names=["first"])
    again = await scene.drop.receive(recording(), pipeline=PIPELINES.pipelines[1], names=["second"])
    assert (first.created, again.created) == (True, False)
    assert again == Received(job_id=first.job_id, created=False, pipeline="calls")
    assert len(scene.table.rows) == len(scene.woken) == 1
    assert {"first", "second"} <= set(scene.table.names)
    assert scene.tally.counts == {"afterword_drops_total received": 1, "afterword_drops_total known": 1}


async def test_a_recording_whose_result_outlived_its_row_is_not_made_again(scene: Scene) -> None:
    dropped = recording()
    known = job_id("afterword", dropped)
    scene.results.stored[place("calls", dropped.key, known).result(1)] = b"{}"
    received = await scene.drop.receive(dropped, pipeline=PIPELINES.pipelines[0])
    assert received == Received(job_id=known, created=False, pipeline="calls")
    assert scene.table.rows == {}
    assert scene.woken == []


async def test_again_makes_another_job_of_a_known_recording(scene: Scene) -> None:
    one = await scene.drop.receive(recording(), pipeline=PIPELINES.pipelines[0])
    two = await scene.drop.receive(recording(), pipeline=PIPELINES.pipelines[0], again="nonce", lane=Lane.BACKFILL)
    assert two.created
    assert two.job_id != one.job_id
    assert scene.table.rows[RowId(two.job_id)].lane is Lane.BACKFILL


async def test_another_deployment_has_a_job_of_its_own(scene: Scene) -> None:
    await scene.drop.take(recording(), [])
    await scene.begin(name="staging").take(recording(), [])
    assert len(scene.table.rows) == 2


async def test_nothing_is_made_while_results_or_store_are_away(scene: Scene) -> None:
    scene.results.away = True
    with pytest.raises(Unavailable):
        await scene.drop.take(recording(), [])
    scene.results.away, scene.table.trouble = False, 1
    with pytest.raises(StoreTrouble):
        await scene.drop.take(recording(), [])
    assert scene.table.rows == {}
    assert scene.woken == []
    assert scene.tally.counts == {}


async def test_what_no_pipeline_matches_is_counted_told_once_and_left_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.stages.drop.TOLD", 2)
    with capture_logs() as logs:
        for key in ("a.mkv", "a.mkv", "b.mkv", "c.mkv", "c.mkv"):
            await scene.drop.take(recording(key, digest=None), [])
    assert [entry["key"] for entry in logs if entry["event"] == "drop.unmatched"] == ["a.mkv", "b.mkv", "c.mkv"]
    assert scene.tally.counts == {"afterword_drops_total unmatched": 3}
    assert scene.table.rows == {}
    assert not scene.drop.wanted("a.mkv", "file:///in/a.mkv")
    assert scene.drop.wanted("a.mp3", "file:///in/a.mp3")


async def test_an_existing_transcript_is_not_submitted_and_not_ours(scene: Scene) -> None:
    existing = from_transcript(TranscriptTarget(transcript_id="tr-1"), NOW, {})
    received = await scene.drop.receive(existing, pipeline=PIPELINES.pipelines[1])
    row = scene.table.rows[RowId(received.job_id)]
    [job] = scene.jobs()
    assert (row.status, row.subject, row.due_at) == (Status.SUBMITTED, "tr-1", NOW)
    assert job.transcript is not None
    assert (job.transcript.id, job.transcript.ours, job.submitted_at) == ("tr-1", False, NOW)
    assert set(scene.table.names) == {"assemblyai:transcript/tr-1", "tr-1"}


async def test_a_url_is_submitted_and_its_query_is_told_to_nobody(scene: Scene) -> None:
    link = from_url(UrlTarget(url="https://a.example/x.mp3?sig=s3cret"), NOW, {})
    with capture_logs() as logs:
        received = await scene.drop.receive(link, pipeline=PIPELINES.pipelines[1])
    assert scene.table.rows[RowId(received.job_id)].status == Status.RECEIVED
    assert "s3cret" not in str(logs) + str(scene.table.names)
    assert logs == [
        {
            "event": "drop.received",
            "log_level": "info",
            "job_id": received.job_id,
            "key": "x.mp3",
            "pipeline": "rest",
        }
    ]


async def test_a_job_that_a_newer_version_wrote_is_left_as_it_is(scene: Scene) -> None:
    await scene.drop.take(recording(), [])
    [row] = scene.table.rows.values()
    scene.table.rows[row.id] = Row(**{**vars_of(row), "schema": 2, "facts": {"pipeline": "calls", "novelty": 1}})
    received = await scene.drop.receive(recording(), pipeline=PIPELINES.pipelines[0])
    assert received == Received(job_id=JobId(row.id), created=False, pipeline="calls")


def vars_of(row: Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


@asynccontextmanager
async def watching(scene: Scene, inbox: Path) -> AsyncIterator[None]:
    folder = Folder(
        inbox, known=scene.table.known, wanted=scene.drop.wanted, clock=time.time, tally=scene.tally, settle=0.03
    )
    watch = asyncio.create_task(folder.watch(scene.drop.take))
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.wait([watch])


async def test_ten_deliveries_of_one_file_are_one_job_and_changed_content_is_a_second(
    scene: Scene, tmp_path: Path
) -> None:
    inbox, spare = tmp_path / "inbox", tmp_path / "spare.mp3"
    inbox.mkdir()
    spare.write_bytes(b"sound")
    path = inbox / "one.mp3"

    def seen(deliveries: int) -> Callable[[], bool]:
        return lambda: sum(name.startswith("file:one") for name in scene.table.names) == deliveries

    shutil.copy(spare, path)
    for delivery in range(1, 10, 3):
        async with watching(scene, inbox):
            await until(seen(delivery))
            os.utime(path, (delivery, delivery))
            await until(seen(delivery + 1))
            shutil.copy(spare, path)
            await until(seen(delivery + 2))
        scene.drop = scene.begin()
        path.unlink()
        shutil.copy(spare, path)
    async with watching(scene, inbox):
        await until(seen(10))
        assert len(scene.table.rows) == 1
        assert len(scene.woken) == 1
        path.write_bytes(b"SOUND")
        await until(lambda: len(scene.table.rows) == 2)
    # The same file, submitted by its path, is the same job.
    submitted = await scene.drop.receive(await describe(path, "one.mp3", time.time), pipeline=PIPELINES.pipelines[1])
    assert not submitted.created
    assert {row.lane for row in scene.table.rows.values()} == {Lane.FRESH}


async def test_an_unmatched_file_is_matched_again_at_the_next_start(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "one.ogg").write_bytes(b"sound")
    async with watching(scene, tmp_path):
        await until(lambda: scene.tally.counts == {"afterword_drops_total unmatched": 1})
    scene.drop = scene.begin(Pipelines(pipelines=(pipeline("ogg", "*.ogg"),)))
    async with watching(scene, tmp_path):
        await until(lambda: len(scene.table.rows) == 1)
    assert scene.jobs()[0].pipeline == "ogg"


async def test_no_drop_is_lost_while_the_store_is_in_trouble_which_is_told_once(scene: Scene, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.wav").write_bytes(b"sound")
    scene.table.trouble = 3
    with capture_logs() as logs:
        async with watching(scene, tmp_path):
            await until(lambda: len(scene.table.rows) == 3)
    assert [entry["reason"] for entry in logs if entry["event"] == "drops.failed"] == ["the store is locked"]
