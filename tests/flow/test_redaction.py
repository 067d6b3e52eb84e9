"""What was redacted is nowhere to be found, and the audio without it comes with the results."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from service.cli.configuration import context_for
from service.domain.errors import Refused
from service.domain.tokens import HEADER, token
from service.stages import redacted
from service.stages.retry import retry
from tests.flow.test_reanalysis import asked, ended
from tests.longrun.processes import Process
from tests.longrun.processes import eventually as until_true
from tests.premises import SECRET, Premises, eventually, until
from tests.standin import KEY, QUICK, clear_faults, ledger, running, script, set_faults

PLANTED = ("Zanzibar", "Velociraptor", "Marmalade", "4711081523", "Quetzalcoatl", "Pomegranate")
"""What is said and must not be told: by two policies, by the request's own list, and a number that no id holds."""
PRIVATE = {"person_name": ["Zanzibar", "Quetzalcoatl Marmalade"], "occupation": ["Velociraptor"]}
SAID = (
    "Good morning, this is Zanzibar, how can I help?",
    "My name is Quetzalcoatl Marmalade and my kettle is a Pomegranate.",
    "A Velociraptor, then. Zanzibar will send number 4711081523 on Friday.",
)
PIPELINES = """
[defaults]
model = "claude-sonnet-4-6"
max_tokens = 400

[[pipelines]]
name = "calls"
match = ["**/*.wav"]

[pipelines.transcript]
speaker_labels = true
redact_pii = true
redact_pii_audio = true
redact_pii_policies = ["person_name", "occupation"]
redact_static_entities = { BRAND = ["Pomegranate"] }
redact_pii_return_unredacted = true
entity_detection = true
sentiment_analysis = true
speech_understanding = { request = { summarization = { summary_type = "paragraph" }, \
speaker_identification = { speaker_type = "role", known_values = ["Agent", "Caller"] } } }

[[pipelines.prompts]]
name = "summary"
prompt = "Summarize the call.\\n\\n{{ transcript }}"

[[pipelines.prompts]]
name = "next-steps"
prompt = "After {{ answers.summary }}: what is next?\\n\\n{{ utterances }}\\n\\n{{ paragraphs }}"

[pipelines.attributes]
said = "answers.summary"

[pipelines.outputs]
captions = ["srt", "vtt"]
"""


def planted(premises: Premises, name: str) -> Path:
    """A recording in which all of it is said, dropped."""
    making = premises.folder / "making" / name
    making.parent.mkdir(exist_ok=True)
    making.write_bytes(script(*SAID, private=PRIVATE))
    return making.rename(premises.inbox / name)


def kept(premises: Premises) -> Iterator[tuple[str, str]]:
    """All that the service keeps, tells or logs: each file's name and its text."""
    with closing(sqlite3.connect(premises.folder / "jobs.db")) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in set(tables) - {"pin"}:
            cells = [cell for row in store.execute(f"SELECT * FROM {table}") for cell in row]
            texts = (cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell) for cell in cells)
            yield f"{table} in jobs.db", "\n".join(texts)
    for path in premises.folder.rglob("*"):
        if path.is_file() and premises.inbox not in path.parents:
            yield str(path.relative_to(premises.folder)), path.read_bytes().decode(errors="replace")


def test_nothing_that_was_redacted_is_in_results_events_log_or_job_store(tmp_path: Path, standin: str) -> None:
    premises = Premises(tmp_path, standin, AFTERWORD_LOG_LEVEL="debug")
    premises.pipelines(PIPELINES)
    # Errors talk: each call fails once, and once its answer is spoilt.
    set_faults(
        standin,
        *({"on": call, "do": "garble", "times": 1} for call in ("read", "captions", "ask")),
        *({"on": call, "do": "status", "status": 500, "times": 1} for call in ("read", "captions", "ask")),
        {"on": "webhook", "do": "lose", "times": 1},
    )
    with Process(premises) as service:
        for number in range(3):
            planted(premises, f"{number}.wav")
        until_true(lambda: len(premises.events()) == 3)
        assert service.stop()[0] == 0
    transcript = premises.events()[0]["data"]["transcript"]["id"]
    shown = httpx2.get(f"{standin}/v2/transcript/{transcript}", headers={"authorization": KEY}).text
    assert [word for word in PLANTED if word not in shown] == [], "the vendor does tell them"
    found = {(name, word) for name, text in kept(premises) for word in PLANTED if word.lower() in text.lower()}
    # What the pipelines file itself lists stands there, and in its copy that the job is bound to.
    assert found <= {("pipelines.toml", "Pomegranate"), ("jobs.db", "Pomegranate"), ("jobs.db-wal", "Pomegranate")}
    for event in premises.events():
        assert event["data"]["outcome"] == "complete"
        assert set(event["data"]["files"]) == {
            *("result", "transcript_json", "transcript_txt", "srt", "vtt", "redacted_audio"),
        }
    names = {path.name for path in premises.files("*")}
    assert {"redacted.mp3", "paragraphs.json", "transcript.srt", "transcript.vtt"} <= names
    log = service.log.read_text()
    assert "X-Amz-Signature" not in log


AUDIO = """
[[pipelines]]
name = "calls"
match = ["**/*.wav"]

[pipelines.transcript]
redact_pii = true
redact_pii_policies = ["person_name", "occupation"]
redact_pii_audio = true
redact_pii_audio_quality = "wav"

[[pipelines.prompts]]
name = "summary"
model = "claude-sonnet-4-6"
prompt = "Summarize the call.\\n\\n{{ transcript }}"
"""


@pytest.fixture
def late(tmp_path: Path) -> Iterator[Premises]:
    """The redacted audio is ready a second and a half after the transcript, long after the answers."""
    with running(replace(QUICK, redacted_audio_seconds=1.5)) as url:
        premises = Premises(tmp_path, url)
        premises.pipelines(AUDIO)
        yield premises


async def told(premises: Premises) -> dict[str, Any]:
    """The data of the one event of a recording that is dropped."""
    async with premises.serving():
        planted(premises, "one.wav")
        (event,) = await premises.heard(1)
    data: dict[str, Any] = event["data"]
    assert data["outcome"] == "complete"
    assert "summary" in data["answers"]
    return data


@pytest.mark.anyio
async def test_the_event_waits_for_the_audio_and_is_woken_by_its_callback(
    premises: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    premises.pipelines(AUDIO)
    # No look by itself would come in time.
    monkeypatch.setattr(redacted, "FIRST_LOOK", 3600.0)
    monkeypatch.setattr(redacted, "LAST_LOOK", 3600.0)
    set_faults(premises.standin, {"on": "captions", "do": "status", "status": 202, "body": {}})
    async with premises.serving():
        planted(premises, "one.wav")

        async def waits() -> bool:
            row = (await premises.rows()).get("one.wav")
            return row is not None and row.status == "decided" and not row.lease_until

        await until(waits)
        assert premises.events() == []
        clear_faults(premises.standin)
        (job_id,) = (row.id for row in (await premises.rows()).values())
        ready = {"status": "redacted_audio_ready", "redacted_audio_url": "https://not.believed.example/a.wav"}
        async with httpx2.AsyncClient() as vendor:
            url = f"http://127.0.0.1:{premises.port}/callbacks/{job_id}"
            answer = await vendor.post(url, json=ready, headers={HEADER: token(SECRET, job_id)})
        assert answer.status_code == 204
        (event,) = await premises.heard(1)
    (audio,) = premises.files("redacted.wav")
    assert event["data"]["files"]["redacted_audio"] == audio.as_uri()
    assert b"########" in audio.read_bytes()
    assert not any(word.encode() in audio.read_bytes() for word in ("Zanzibar", "Quetzalcoatl", "4711081523"))


@pytest.mark.anyio
async def test_without_a_callback_the_audio_is_looked_for(late: Premises, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redacted, "FIRST_LOOK", 0.5)
    set_faults(late.standin, {"on": "webhook", "do": "lose"})
    data = await told(late)
    assert "redacted_audio" in data["files"]


@pytest.mark.anyio
async def test_audio_that_does_not_come_in_time_does_not_hold_the_event_back(
    late: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redacted, "PATIENCE", 0.3)
    monkeypatch.setattr(redacted, "FIRST_LOOK", 0.2)
    with capture_logs() as lines:
        data = await told(late)
    assert "redacted_audio" not in data["files"]
    assert "did not have it ready in time" in str(lines)


@pytest.mark.anyio
async def test_audio_that_is_gone_is_done_without(premises: Premises) -> None:
    premises.pipelines(AUDIO)
    gone = {"status": 400, "message": "Redacted audio is not available for this transcript"}
    set_faults(premises.standin, {"on": "captions", "do": "status", **gone})
    with capture_logs() as lines:
        data = await told(premises)
    assert "redacted_audio" not in data["files"]
    assert "audio.missed" in [line["event"] for line in lines]
    assert ledger(premises.standin)["calls"]["captions"] == 1


@pytest.mark.anyio
async def test_trouble_with_the_audio_holds_up_no_answer_and_is_over_some_time(
    late: Premises, monkeypatch: pytest.MonkeyPatch, brisk: None
) -> None:
    monkeypatch.setattr(redacted, "FIRST_LOOK", 0.2)
    set_faults(late.standin, *({"on": "captions", "do": do, "times": 1} for do in ("reset", "garble", "slow")))
    assert "redacted_audio" in (await told(late))["files"]


@pytest.mark.anyio
async def test_the_transcript_is_forgotten_only_once_the_audio_was_fetched(
    late: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redacted, "FIRST_LOOK", 0.5)
    late.pipelines(AUDIO + "\n[pipelines.outputs]\nkeep_transcript = false\n")
    async with late.serving():
        planted(late, "one.wav")
        (event,) = await late.heard(1)
        assert "redacted_audio" in event["data"]["files"]
        transcript = event["data"]["transcript"]["id"]

        def forgotten() -> bool:
            shown = httpx2.get(f"{late.standin}/v2/transcript/{transcript}", headers={"authorization": KEY}).json()
            return bool(shown["text"] == "Deleted by user.")

        await eventually(forgotten)


@pytest.mark.anyio
async def test_silence_has_no_redacted_audio_to_wait_for(premises: Premises) -> None:
    premises.pipelines(AUDIO)
    set_faults(premises.standin, {"on": "submit", "do": "blank"})
    async with premises.serving():
        planted(premises, "one.wav")
        (event,) = await premises.heard(1)
    assert event["data"]["skipped"] == "no_speech"
    assert ledger(premises.standin)["calls"].get("captions", 0) == 0


@pytest.mark.anyio
async def test_a_transcript_that_was_made_without_redaction_is_not_used_where_it_is_asked_for(
    premises: Premises, capsys: pytest.CaptureFixture[str]
) -> None:
    head, _, prompts = AUDIO.partition("[pipelines.transcript]")
    premises.pipelines(head + prompts[prompts.index("[[pipelines.prompts]]") :])
    set_faults(premises.standin, {"on": "ask", "do": "status", "status": 400, "message": "not that"})
    async with premises.serving():
        planted(premises, "one.wav")
        (first,) = await premises.heard(1)
        await ended(premises)
    clear_faults(premises.standin)
    premises.pipelines(AUDIO)
    capsys.readouterr()
    assert await asked(premises) == 0
    assert json.loads(capsys.readouterr().out)["left_alone"] == {"unredacted": 1}
    async with context_for(premises.settings, premises.loaded) as context:
        with pytest.raises(Refused, match="without the redaction that pipeline calls asks for"):
            await retry((await premises.rows())["one.wav"], context, repin=True)
    async with premises.serving() as addresses:
        target = {"target": f"transcript:{first['data']['transcript']['id']}", "pipeline": "calls"}
        async with httpx2.AsyncClient() as client:
            answer = await client.post(f"{addresses.ops}/api/jobs", json=target)
        assert answer.is_success, answer.text
        _, second = await premises.heard(2)
    assert (second["data"]["outcome"], second["data"]["error"]["code"]) == ("failed", "not_redacted")
    assert second["data"]["files"].keys() == {"result"}
    assert ledger(premises.standin)["totals"]["asks_billed"] == 0
