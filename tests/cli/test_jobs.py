"""`afterword status` and `afterword jobs`: what is where, why it waits, and what sends it on."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.desk import Desk, Service, configure, eventually, process, record
from tests.standin import running, set_faults


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a service that has stopped left behind: one job published, one failed, one that nobody has looked at."""
    folder = tmp_path_factory.mktemp("past")
    with running() as standin:
        configure(folder, standin)
        with Service(folder):
            record(folder, "good.mp3")
            assert process("submit", "good.mp3", "--wait", cwd=folder).returncode == 0
            set_faults(standin, {"on": "submit", "do": "fail", "error": "Transcoding failed. It is no audio."})
            record(folder, "notes/bad")
            assert process("submit", "notes/bad", "--wait", cwd=folder).returncode == 1
    record(folder, "new.mp3")
    assert process("submit", "new.mp3", cwd=folder).returncode == 0
    return folder


@pytest.fixture
def done(past: Path, desk: Desk, standin: str) -> Desk:
    """A folder with that past, and a stand-in that knows nothing of it."""
    shutil.copytree(past, desk.folder, dirs_exist_ok=True)
    configure(desk.folder, standin)
    return desk


def job(desk: Desk, key: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = desk("jobs", "list", "--json").json
    return next(each for each in found if each["recording"]["key"] == key)


def test_the_status_says_what_is_where(done: Desk) -> None:
    ran = done("status")
    assert ran.code == 0
    lines = [line.split() for line in ran.out.splitlines()]
    assert lines[0] == ["status", "lane", "jobs", "due", "now", "parked"]
    assert lines[1:4] == [
        ["received", "fresh", "1", "1", "-"],
        ["published", "fresh", "1", "-", "-"],
        ["failed", "fresh", "1", "-", "-"],
    ]
    assert re.search(r"due now +1 job, the oldest since", ran.out)
    assert re.search(r"backlog +about \d+ (s|min) at the present rate", ran.out)
    assert re.search(r"last callback +\d{4}-\d\d-\d\d", ran.out)
    assert "afterword jobs list --failed" in ran.err
    told = done("status", "--json").json
    assert (told["due"], told["parked"], told["failed"], told["shut_gates"]) == (1, 0, 1, [])
    assert len(told["pipelines_digest"]) == 64
    assert told["backlog_seconds"] == 300.0  # one job waits, and two ended in ten minutes
    assert told["last_callback_at"] is not None
    assert {(each["status"], each["jobs"]) for each in told["jobs"]} == {
        ("received", 1),
        ("published", 1),
        ("failed", 1),
    }


def test_the_usage_says_what_each_pipeline_used_on_each_day(done: Desk) -> None:
    told = done("usage", "--json").json
    assert [(each["pipeline"], each["recordings"], each["requests"]) for each in told] == [
        ("calls", 1, 1),
        ("notes", 1, 0),
    ]
    assert min(told[0]["input_tokens"], told[0]["output_tokens"]) > 0
    assert told[0]["audio_seconds"] > 0
    assert told[0]["estimated_cost"] > 0
    titles, row, _, everything = done("usage", "--since", "1d").out.splitlines()
    assert titles.split() == [
        *("day", "pipeline", "recordings", "audio", "hours", "requests", "tokens", "in", "tokens", "out"),
        *("estimated", "$"),
    ]
    assert row.split()[:3] == [told[0]["day"], "calls", "1"]
    assert everything.split()[:3] == ["all", "2", "2"]
    assert done("usage", "--pipeline", "others").out == "nothing was used in that time\n"
    assert done("usage", "--since", "soon").errors == [
        "error: --since soon: that is not a duration; write it like 30d or 12h"
    ]


def test_an_empty_store_and_a_broken_file_are_told(configured: Desk) -> None:
    configured.record("a.mp3")
    configured("submit", "a.mp3")
    (configured.folder / "pipelines.toml").write_text("nonsense")
    assert re.search(r"pipelines +the file cannot be read: see `afterword check`", configured("status").out)
    assert configured("status", "--json").json["pipelines_digest"] is None


def test_a_shut_gate_says_since_when_why_and_what_to_do(configured: Desk, standin: str) -> None:
    set_faults(standin, {"on": "submit", "do": "account", "trouble": "balance"})
    configured.record("a.mp3")
    with Service(configured.folder) as service:
        configured("submit", "a.mp3")
        eventually(lambda: "account.parked" in service.log)
        eventually(lambda: configured("status", "--json").json["parked"] == 1)
    said = configured("status").out
    assert "the gate balance has been shut since" in said
    assert "Your current account balance is negative" in said
    assert "top up the AssemblyAI account (or mend its key and restart); the work goes on by itself" in said
    [gate] = configured("status", "--json").json["shut_gates"]
    assert gate["gate"] == "balance"
    shown = configured("jobs", "show", job(configured, "a.mp3")["id"])
    assert "waits for   the account's trouble, since" in shown.out
    assert "send it on  top up the AssemblyAI account" in shown.out
    assert "waits for the account (balance)" in configured("jobs", "list").out


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ([], ["new.mp3", "notes/bad", "good.mp3"]),
        (["--limit", "1"], ["new.mp3"]),
        (["--failed"], ["notes/bad"]),
        (["--status", "published", "--status", "received"], ["new.mp3", "good.mp3"]),
        (["--pipeline", "notes"], ["notes/bad"]),
        (["--pipeline", "nothing"], []),
        (["--since", "1h"], ["new.mp3", "notes/bad", "good.mp3"]),
        (["--since", "0s"], []),
    ],
)
def test_jobs_are_listed_newest_first_and_narrowed_down(done: Desk, words: list[str], keys: list[str]) -> None:
    ran = done("jobs", "list", *words, "--json")
    assert [each["recording"]["key"] for each in ran.json] == keys
    lines = done("jobs", "list", *words).out.splitlines()
    assert len(lines) == len(keys)
    assert all(key in line for key, line in zip(keys, lines, strict=True))


def test_a_job_shows_its_way_its_answers_and_its_files(done: Desk) -> None:
    known = job(done, "good.mp3")
    for name in (known["id"], known["transcript_id"], known["recording"]["uri"]):
        shown = done("jobs", "show", name, "--json").json
        assert shown["id"] == known["id"]
        assert shown["answers"] == {"summary": "stored"}
        assert {"result", "transcript_json", "transcript_txt"} <= shown["files"].keys()
        assert shown["waits_for"] == {"what": "nothing", "until": None, "send_on": None}
    said = done("jobs", "show", known["id"]).out
    for words in ("status      published, run 1", "outcome     complete", "answers  summary  stored", "result.json"):
        assert words in said
    steps = [line.partition("  run 1  ")[2].split() for line in said.splitlines() if "  run 1  " in line]
    assert [step[0] for step in steps] == ["received", "submitted", "transcribed", "decided", "published"]


def test_a_failed_job_shows_why_and_the_command_that_sends_it_on(done: Desk) -> None:
    known = job(done, "notes/bad")
    said = done("jobs", "show", known["id"]).out
    assert "outcome     failed (transcription_failed: Transcoding failed. It is no audio.)" in said
    assert f"send it on  afterword jobs retry {known['id']}" in said
    assert "waits for   a worker" in done("jobs", "show", job(done, "new.mp3")["id"]).out


@pytest.mark.parametrize("words", [["show"], ["retry"], ["reanalyze"], ["republish"]])
def test_an_unknown_name_says_what_a_name_is(done: Desk, words: list[str]) -> None:
    ran = done("jobs", *words, "nobody")
    assert ran.code == 1
    [error] = ran.errors
    assert error.startswith("error: nobody: no job has that name; `afterword jobs list` shows what there is; a name is")


def test_a_name_of_several_jobs_lists_them(done: Desk) -> None:
    again = [done("submit", "good.mp3", "--again").out.split()[0] for _ in range(2)]
    known = job(done, "good.mp3")
    ran = done("jobs", "show", known["recording"]["uri"])
    assert ran.code == 1
    assert "2 jobs have that name; name one by its id: job_" in ran.errors[0]
    assert all(each in ran.errors[0] for each in again)


def test_a_failed_job_is_sent_on_and_ends_well(done: Desk) -> None:
    known = job(done, "notes/bad")
    ran = done("jobs", "retry", known["id"], "--json")
    assert (ran.code, ran.json["done"][0]["run"], ran.json["refused"]) == (0, 2, [])
    assert "1 job done" in ran.err
    with Service(done.folder):
        eventually(lambda: job(done, "notes/bad")["status"] == "published")
    results = sorted(Path(done.folder / "results" / "notes").rglob("result.json"))
    assert [json.loads(path.read_bytes())["outcome"] for path in results] == ["failed", "complete"]
    assert "run 2" in done("jobs", "show", known["id"]).out


def test_only_failed_jobs_are_sent_on(done: Desk) -> None:
    bad, good = job(done, "notes/bad"), job(done, "good.mp3")
    ran = done("jobs", "retry", good["id"], bad["id"])
    assert ran.code == 1
    assert ran.out.split()[:2] == [bad["id"], "2"]
    assert "only failed jobs are retried, and this one is published" in ran.errors[0]
    assert "1 job done, 1 refused" in ran.err


def test_all_that_failed_are_sent_on_only_at_a_persons_word(done: Desk) -> None:
    refused = done("jobs", "retry", "--failed")
    assert refused.code == 1
    assert "1 failed job would be sent on, and nobody can be asked; say --yes" in refused.errors[0]
    assert done("jobs", "retry", "--failed", "--since", "0s", "--yes").out == ""
    assert done("jobs", "retry", "--failed", "--yes", "--json").json["done"][0]["run"] == 2
    assert done("jobs", "retry", "--failed").code == 0


def test_a_job_is_bound_anew_only_to_a_pipeline_that_is_there(done: Desk) -> None:
    known = job(done, "notes/bad")
    whole = (done.folder / "pipelines.toml").read_text()
    (done.folder / "pipelines.toml").write_text(whole.replace('"notes"', '"memos"'))
    ran = done("jobs", "retry", known["id"], "--repin")
    assert ran.code == 1
    assert "the pipelines file has no pipeline notes any more; bring it back" in ran.errors[0]
    (done.folder / "pipelines.toml").write_text(whole)
    assert done("jobs", "retry", known["id"], "--repin").code == 0


def test_new_questions_are_asked_only_at_a_persons_word(done: Desk) -> None:
    good, bad = job(done, "good.mp3"), job(done, "notes/bad")
    whole = (done.folder / "pipelines.toml").read_text()
    assert done("jobs", "reanalyze", "--key", "**", "--dry-run", "--json").json["left_alone"] == {
        "no_transcript": 1,
        "same": 1,
    }
    (done.folder / "pipelines.toml").write_text(whole.replace("Summarize the call.", "Say it in a word."))
    refused = done("jobs", "reanalyze", good["id"])
    assert refused.code == 1
    assert "reanalyze: 1 request would be made and billed, and nobody can be asked; say --yes" in refused.errors[0]
    looked = done("jobs", "reanalyze", "--key", "**", "--dry-run")
    assert re.search(r"calls +summary +claude-sonnet-4-6 +1 request +about \d+ tokens in\n", looked.out)
    assert re.search(r"in all +1 recording +1 request +about \d+ tokens in\n", looked.out)
    assert "about 2 s at 30 requests a minute to a model; nothing is transcribed again" in looked.err
    assert "left alone: 1 recording without a transcript: `afterword jobs retry` makes one" in looked.err
    sent = done("jobs", "reanalyze", good["id"], bad["id"], job(done, "new.mp3")["id"], "--yes")
    assert sent.code == 0
    assert sent.out.split() == [good["id"], "run", "2", "summary", "good.mp3"]
    assert "left alone: 1 recording on the way already" in sent.err
    assert "1 recording sent on; `afterword status` tells how far they are" in sent.err
    assert ["transcribed", "backfill", "1", "1", "-"] in [line.split() for line in done("status").out.splitlines()]
    again = done("jobs", "reanalyze", good["id"], "--yes")
    assert (again.code, again.out) == (0, "")
    assert "left alone: 1 recording on the way already" in again.err


@pytest.mark.parametrize(
    ("words", "recordings"),
    [
        (["--pipeline", "calls"], 1),
        (["--pipeline", "notes"], 0),
        (["--key", "GOOD.*"], 1),
        (["--key", "calls/**"], 0),
        (["--since", "1h"], 1),
        (["--since", "0s"], 0),
        (["--until", "0s"], 1),
        (["--until", "1h"], 0),
        (["--since", "1h", "--until", "0s", "--pipeline", "calls", "--key", "*.mp3"], 1),
    ],
)
def test_recordings_to_be_asked_anew_are_narrowed_down(done: Desk, words: list[str], recordings: int) -> None:
    whole = (done.folder / "pipelines.toml").read_text()
    (done.folder / "pipelines.toml").write_text(whole.replace("Summarize the call.", "Say it in a word."))
    assert done("jobs", "reanalyze", *words, "--dry-run", "--json").json["recordings"] == recordings


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--pipeline", "cals"],
            "--pipeline cals: the pipelines file has no such pipeline; choose one of calls, notes",
        ),
        (["--key", "a**"], "--key a**: `**` stands beside other characters, where it has no meaning; give it a"),
        (["--until", "May"], "--until May: that is not a duration; write it like 2d, 12h or 30m"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_read(done: Desk, words: list[str], said: str) -> None:
    ran = done("jobs", "reanalyze", *words)
    assert ran.code == 1
    assert said in ran.errors[0]


def test_the_same_event_is_sent_again_to_the_byte(done: Desk) -> None:
    good = job(done, "good.mp3")
    ran = done("jobs", "republish", good["id"])
    lines = (done.folder / "events.jsonl").read_bytes().splitlines()
    assert ran.code == 0
    assert lines[-1] == lines[0]
    assert ran.out.split() == [good["id"], json.loads(lines[0])["id"]]
    refused = done("jobs", "republish", good["id"], "--run", "2")
    assert refused.code == 1
    assert "run 2 has no result to tell of" in refused.errors[0]


def test_nothing_that_looks_asks_for_the_key_or_the_vendor(done: Desk) -> None:
    done.dotenv({})
    assert done("status").code == 0
    assert done("jobs", "list").code == 0
    assert done("jobs", "republish", job(done, "good.mp3")["id"]).code == 0
    assert done("jobs", "retry", "--failed", "-y").code == 0


def test_a_store_that_is_broken_is_one_sentence(done: Desk) -> None:
    for path in done.folder.glob("afterword.db*"):
        path.write_bytes(b"no database " * 400)
    for words in (["status"], ["jobs", "list"], ["submit", "good.mp3"]):
        ran = done(*words)
        assert ran.code == 1
        [error] = ran.errors
        assert error.startswith(
            "error: the job store failed: SQLITE_NOTADB; see that AFTERWORD_JOBS names a sound file"
        )


def test_a_result_that_is_gone_or_changed_does_not_hide_the_job(done: Desk) -> None:
    good = job(done, "good.mp3")
    [result] = [path for path in (done.folder / "results/calls").rglob("result.json") if good["id"] in str(path)]
    result.write_text("[]")
    assert done("jobs", "show", good["id"], "--json").json["files"]["result"].endswith("(not one of ours any more)")
    result.unlink()
    assert done("jobs", "show", good["id"], "--json").json["files"].keys() == {"transcript_json", "transcript_txt"}


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ({"on": "ask", "do": "status", "status": 503}, "waiting, after "),
        ({"on": "ask", "do": "truncate"}, "failed (prompt_truncated: the answer was cut off at max_tokens=400)"),
        ({"on": "ask", "do": "status", "status": 429, "retry_after": 60}, "waiting"),
    ],
)
def test_a_job_shows_the_state_of_each_answer(
    configured: Desk, standin: str, fault: dict[str, Any], state: str
) -> None:
    set_faults(standin, fault)
    configured.record("a.mp3")
    configured("submit", "a.mp3")
    name = job(configured, "a.mp3")["id"]
    with Service(configured.folder):
        eventually(lambda: shown(configured, name)["answers"].get("summary", "").startswith(state))
    told = shown(configured, name)
    assert {"transcript_json", "transcript_txt"} <= told["files"].keys()
    assert f"answers  summary  {state}" in configured("jobs", "show", name).out


def test_a_job_in_trouble_says_what_it_tries_again(configured: Desk, standin: str) -> None:
    set_faults(standin, {"on": "upload", "do": "status", "status": 503})
    configured.record("a.mp3")
    configured("submit", "a.mp3")
    name = job(configured, "a.mp3")["id"]
    with Service(configured.folder):
        eventually(lambda: shown(configured, name)["trouble"] is not None)
    said = configured("jobs", "show", name).out
    assert "trouble     " in said
    assert " in a row: " in said


def shown(desk: Desk, name: str) -> dict[str, Any]:
    told: dict[str, Any] = desk("jobs", "show", name, "--json").json
    return told
