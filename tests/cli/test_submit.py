"""`afterword submit`: which job a recording is, made once, watched until it ends."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli import backfill, following
from service.cli.complaints import refusal
from service.cli.submission import Found, Order
from service.domain.targets import FileTarget
from tests.cli.desk import Desk, Service, environment, process
from tests.standin import ledger, set_faults


def test_a_recording_is_one_job_however_often_it_is_handed_over(configured: Desk) -> None:
    configured.record("calls/a.wav")
    first, second = configured("submit", "calls/a.wav"), configured("submit", "./calls/../calls/a.wav")
    assert (first.code, second.code, first.err, second.err) == (0, 0, "", "")
    job_id, new, pipeline, key = first.out.split()
    assert (new, pipeline, key) == ("new", "calls", "calls/a.wav")
    assert second.out.split() == [job_id, "known", "calls", "calls/a.wav"]
    again = configured("submit", "calls/a.wav", "--again").out.split()
    assert again[0] != job_id
    assert again[1] == "new"


def test_what_is_submitted_is_what_would_be_dropped(configured: Desk) -> None:
    configured.record("inbox/calls/a.wav")
    with Service(configured.folder):
        first = configured("submit", "inbox/calls/a.wav", "--wait", "--json").json["jobs"]
    assert [(each["key"], each["status"]) for each in first] == [("calls/a.wav", "published")]
    assert len((configured.folder / "events.jsonl").read_bytes().splitlines()) == 1


def test_targets_of_every_kind_go_together(configured: Desk) -> None:
    configured.record("a.mp3")
    ran = configured(
        "submit",
        "a.mp3",
        "https://user:pass@a.b/x/c.mp3?signature=1",
        "transcript:t-1",
        "--pipeline",
        "notes",
        "--json",
    )
    assert [each["uri"] for each in ran.json["jobs"]] == [
        f"file://{configured.folder}/a.mp3",
        "https://a.b/x/c.mp3",
        "assemblyai:transcript/t-1",
    ]
    assert {each["pipeline"] for each in ran.json["jobs"]} == {"notes"}
    assert "signature" not in ran.out + ran.err


def test_all_targets_are_taken_or_none(configured: Desk) -> None:
    configured.record("a.mp3")
    ran = configured("submit", "a.mp3", "gone.mp3", "transcript:t-1")
    assert ran.code == 1
    assert [line.split(":")[1].strip() for line in ran.errors] == ["gone.mp3", "transcripts/t-1"]
    assert ran.out == ""
    assert not (configured.folder / "afterword.db").exists()


def test_a_dry_run_makes_nothing(configured: Desk) -> None:
    configured.record("a.mp3")
    before = configured.names()
    would = configured("submit", "a.mp3", "--dry-run", "--wait")
    assert (would.code, configured.names()) == (0, before)
    assert "would be new" in would.out
    configured("submit", "a.mp3")
    assert configured("submit", "a.mp3", "--dry-run", "--json").json["jobs"][0]["new"] is False
    assert configured("submit", "a.mp3", "--dry-run", "--json", "--again").json["jobs"][0]["new"] is True
    assert len(configured("jobs", "list", "--json").json) == 1


def test_metadata_reaches_the_job(configured: Desk) -> None:
    configured.record("a.mp3")
    configured("submit", "a.mp3", "--metadata", "agent=Ada", "--metadata", "line=3")
    assert configured("jobs", "list", "--json").json[0]["recording"]["metadata"] == {"agent": "Ada", "line": "3"}


def test_a_submission_needs_no_key(configured: Desk) -> None:
    configured.record("a.mp3")
    configured.environ("ASSEMBLYAI_API_KEY", "")
    configured.environ("AFTERWORD_PUBLIC_URL", "http://nonsense")
    assert configured("submit", "a.mp3").code == 0


def test_a_folder_is_counted_first_and_then_handed_over_once(configured: Desk) -> None:
    sizes = [configured.record(f"far/{name}").stat().st_size for name in ("a.mp3", "deep/b.mp3", "notes/c")]
    configured.record("far/other.xyz")
    survey = configured("submit", "far", "-r", "--dry-run", "--json").json
    assert survey == {
        "dry_run": True,
        "recordings": 3,
        "bytes": sum(sizes),
        "pipelines": {
            "calls": {"recordings": 2, "bytes": sizes[0] + sizes[1]},
            "notes": {"recordings": 1, "bytes": sizes[2]},
        },
        "unmatched": 1,
    }
    assert not (configured.folder / "afterword.db").exists()
    said = configured("submit", "far", "-r", "--dry-run").out
    assert "calls   2 recordings" in said
    assert "in all  3 recordings" in said
    assert "1 further file that no pipeline" in configured("submit", "far", "-r", "--dry-run").err
    first = configured("submit", "far", "-r", "--yes")
    assert first.code == 0
    assert "3 new jobs, 0 known already" in first.err
    assert "1 further file that no pipeline takes would be left alone" in first.err
    second = configured("submit", "far", "-r", "-y", "--json")
    assert [each["new"] for each in second.json["jobs"]] == [False] * 3
    jobs = configured("jobs", "list", "--json").json
    assert {(each["recording"]["key"], each["lane"]) for each in jobs} == {
        ("a.mp3", "backfill"),
        ("deep/b.mp3", "backfill"),
        ("notes/c", "backfill"),
    }


def test_a_folder_around_the_service_hands_over_nothing_of_ours(configured: Desk) -> None:
    configured.record("inbox/calls/a.wav")
    configured("submit", "inbox/calls/a.wav")
    (configured.folder / "results").mkdir()
    configured.record("results/old.mp3")
    (configured.folder / "events.jsonl").write_text("{}\n")
    survey = configured("submit", ".", "-r", "--dry-run", "--json", "--pipeline", "notes").json
    assert survey["recordings"] == 1


def test_a_file_that_cannot_be_read_does_not_keep_the_others_back(
    configured: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = backfill.recording

    async def unreadable(target: FileTarget, order: Order, relative_to: Path) -> Found:
        if target.path.endswith("b.mp3"):
            raise refusal("b.mp3", "it cannot be read", "mend it")
        return await good(target, order, relative_to)

    monkeypatch.setattr(backfill, "recording", unreadable)
    for name in "abc":
        configured.record(f"far/{name}.mp3")
    ran = configured("submit", "far", "-r", "-y", "--json")
    assert ran.code == 1
    assert [each["key"] for each in sorted(ran.json["jobs"], key=lambda each: each["key"])] == ["a.mp3", "c.mp3"]
    assert ran.errors == ["error: b.mp3: it cannot be read; mend it"]


@pytest.mark.parametrize(("answer", "jobs"), [(b"y\n", 1), (b"n\n", 0), (b"\n", 0)])
def test_a_person_is_asked_before_a_folder_is_handed_over(configured: Desk, answer: bytes, jobs: int) -> None:
    configured.record("far/a.mp3")
    ours, theirs = pty.openpty()
    os.write(ours, answer)
    ran = subprocess.run(
        [sys.executable, "-m", "service", "submit", "far", "--recursive"],
        cwd=configured.folder,
        env=environment(),
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(ours)
    os.close(theirs)
    assert ran.returncode == (0 if jobs else 1)
    assert "in all  1 recording " in ran.stderr
    assert "Hand them over?" in ran.stderr
    assert ran.stdout.count("job_") == jobs


def test_waiting_shows_each_step_in_plain_lines_and_ends_well(service: Service, configured: Desk, standin: str) -> None:
    for name in "ab":
        configured.record(f"{name}.mp3")
    ran = process("submit", "a.mp3", "b.mp3", "--wait", cwd=configured.folder)
    assert ran.returncode == 0
    assert ran.stdout.count("job_") == 2
    lines = ran.stderr.splitlines()
    assert {"a.mp3: published (complete)", "b.mp3: published (complete)"} <= set(lines)
    assert "\x1b" not in ran.stdout + ran.stderr
    assert len(ledger(standin)["submissions"]) == 2


def test_waiting_ends_in_1_when_one_has_failed(service: Service, configured: Desk, standin: str) -> None:
    set_faults(standin, {"on": "submit", "do": "fail", "error": "Transcoding failed. It is no audio."})
    configured.record("a.mp3")
    ran = configured("submit", "a.mp3", "--wait", "--json")
    assert ran.code == 1
    assert ran.json["jobs"][0]["status"] == "failed"
    assert "a.mp3: failed (transcription_failed: Transcoding failed. It is no audio.)" in ran.err


def test_waiting_says_when_nobody_is_at_work(configured: Desk) -> None:
    configured.record("a.mp3")
    program = (
        "import sys; from service.cli import following; from service.cli.app import run; "
        "following.follow.__kwdefaults__['idle_after'] = 0.0; sys.exit(run(['submit', 'a.mp3', '--wait']))"
    )
    waiting = subprocess.Popen(
        [sys.executable, "-c", program], cwd=configured.folder, env=environment(), stderr=subprocess.PIPE, text=True
    )
    assert waiting.stderr is not None
    try:
        said = [waiting.stderr.readline(), waiting.stderr.readline()]
        waiting.send_signal(2)
        assert waiting.wait(20) == 130
    finally:
        waiting.kill()
        waiting.stderr.close()
    assert said == ["a.mp3: submitting\n", following.NOBODY + "\n"]


def test_the_names_of_recordings_cannot_steer_a_terminal(configured: Desk) -> None:
    configured.record("evil\x1b[2J\n.mp3")
    ran = configured("submit", "evil\x1b[2J\n.mp3")
    assert "\x1b" not in ran.out + ran.err
    assert r"evil\x1b[2J\n.mp3" in ran.out
    assert json.loads(configured("jobs", "list", "--json").out)[0]["recording"]["key"] == "evil\x1b[2J\n.mp3"


def test_the_recordings_of_a_folder_may_be_anywhere(configured: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere: Path = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "a.mp3").write_bytes(configured.record("a.mp3").read_bytes())
    keys = [each["key"] for each in configured("submit", str(elsewhere), "-ry", "--json").json["jobs"]]
    assert keys == ["a.mp3"]
