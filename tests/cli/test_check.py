"""`afterword check`: everything that is wrong in one list, each with place and cure, and every thing tried."""

import os
import re
import sqlite3
import stat
import time
from collections.abc import Mapping
from typing import Any

import pytest

from service.cli import probes
from tests.cli.desk import Desk, Service, eventually
from tests.standin import set_faults
from tests.unit.broken_prompts import POINTERS, REQUESTS, SCHEMAS, WHERE, WORDS, Broken
from tests.unit.pipelines_samples import HEAD, PROMPT
from tests.unit.settings_samples import KEY
from tests.unit.test_pipelines_refused import BROKEN as BROKEN_FILES
from tests.unit.test_settings_refused import BROKEN as BROKEN_SETTINGS

SENTENCE = re.compile(r"problem: [^\n]+: [^\n]+; [^\n]+")
NUL = "\0"


@pytest.mark.parametrize(
    ("environ", "place"),
    [(environ, place) for environ, place, _ in BROKEN_SETTINGS if NUL not in "".join(environ.values())],
)
def test_every_broken_setting_is_listed_beside_a_broken_file(
    desk: Desk, environ: Mapping[str, str], place: str
) -> None:
    (desk.folder / "pipelines.toml").write_text(f"{HEAD}{PROMPT}temprature = 1")
    for name, value in {"ASSEMBLYAI_API_KEY": KEY, **environ}.items():
        desk.environ(name, value)
    ran = desk("check", "--offline", "--json")
    assert ran.code == 1
    problems = ran.json["problems"]
    assert place in [each["place"] for each in problems]
    assert all(each["what"] and each["cure"] and "\n" not in str(each) for each in problems)
    reads_the_file = "AFTERWORD_PIPELINES" not in environ
    assert any(each["place"].startswith("pipelines.toml:9") for each in problems) is reads_the_file


@pytest.mark.parametrize("text", [text for text, _, _ in BROKEN_FILES], ids=lambda text: text[-40:])
def test_every_broken_file_is_listed_beside_a_broken_setting(desk: Desk, text: str) -> None:
    (desk.folder / "pipelines.toml").write_text(text)
    desk.environ("AFTERWORD_REGION", "uk")
    ran = desk("check", "--offline")
    *problems, total = ran.out.splitlines()
    assert ran.code == 1
    assert all(SENTENCE.fullmatch(each) for each in problems)
    places = [each.removeprefix("problem: ").partition(":")[0] for each in problems]
    assert places.index("ASSEMBLYAI_API_KEY") < places.index("AFTERWORD_REGION") < places.index("pipelines.toml")
    assert total == f"{len(problems)} problems"


@pytest.mark.parametrize(
    "broken", [each for kind in (WORDS, REQUESTS, WHERE, SCHEMAS, POINTERS) for each in kind[3:9:2]]
)
def test_a_broken_prompt_is_listed_with_its_place_and_cure(desk: Desk, broken: Broken) -> None:
    (desk.folder / "pipelines.toml").write_text(broken.written(desk.folder))
    desk.environ("ASSEMBLYAI_API_KEY", KEY)
    ran = desk("check", "--offline", "--json")
    assert ran.code == 1
    [problem] = ran.json["problems"]
    assert problem["place"] == f"pipelines.toml:{broken.place}"
    assert re.search(broken.what, problem["what"])
    assert re.search(broken.cure, problem["cure"])


def test_a_service_that_is_set_up_well_has_no_problems(configured: Desk) -> None:
    before = configured.names()
    ran = configured("check")
    assert (ran.code, ran.out) == (0, "no problems\n")
    assert configured.names() == before


def test_what_the_service_refuses_check_has_listed(configured: Desk) -> None:
    configured.environ("AFTERWORD_REGION", "uk")
    configured.environ("AFTERWORD_OPS_HOST", "0.0.0.0")
    (configured.folder / "pipelines.toml").write_text(f"{HEAD}{PROMPT}temprature = 1")
    listed = [line.removeprefix("problem: ") for line in configured("check", "--offline").out.splitlines()[:-1]]
    refused = configured("serve")
    assert refused.code == 1
    assert [line.removeprefix("error: ") for line in refused.errors] == listed
    assert len(listed) == 3


def test_results_that_would_come_in_as_recordings_are_a_problem(configured: Desk) -> None:
    configured.environ("AFTERWORD_RESULTS", ".")
    configured.environ("AFTERWORD_DROPS", "calls/inbox")
    ran = configured("check", "--offline")
    assert ran.code == 1
    assert "problem: AFTERWORD_RESULTS: the results of pipeline calls would fall among" in ran.out


def test_the_pipeline_of_each_key_is_told_with_its_pattern(configured: Desk) -> None:
    ran = configured("check", "--offline", "--json", "--match", "Calls/2026/a.WAV", "notes/b", "s3://c/d.mp3", "e.txt")
    assert ran.code == 0
    assert [tuple(each.values()) for each in ran.json["matches"]] == [
        ("Calls/2026/a.WAV", "calls", "calls/**/*.wav"),
        ("notes/b", "notes", "notes/*"),
        ("s3://c/d.mp3", "calls", "**/*.mp3"),
        ("e.txt", None, None),
    ]
    said = configured("check", "--offline", "--match", "a.mp3", "e.txt").out.splitlines()
    assert said[:2] == ["match: a.mp3: pipeline calls takes it, by `**/*.mp3`", "match: e.txt: no pipeline takes it"]


def test_doubts_stop_nothing_and_stand_apart(configured: Desk) -> None:
    configured.environ("AFTERWORD_REGOIN", "eu")
    ran = configured("check", "--offline")
    assert (ran.code, ran.out) == (0, "no problems\n")
    assert "warning: AFTERWORD_REGOIN: there is no such setting; did you mean AFTERWORD_REGION?" in ran.err


def test_what_waits_and_is_not_known_is_counted(configured: Desk) -> None:
    sizes = [configured.record(f"inbox/calls/{name}.wav").stat().st_size for name in "ab"]
    configured.record("inbox/other.xyz")
    (configured.folder / "inbox/calls/empty.wav").touch()
    ran = configured("check")
    assert ran.code == 0
    assert f"2 recordings ({sum(sizes)} B) wait in {configured.folder}/inbox, unknown to the job store" in ran.err
    assert "the next start bills all that have no results yet" in ran.err
    (configured.folder / "pipelines.toml").unlink()
    assert "at most 3 recordings" in configured("check").err


def test_what_the_service_has_taken_in_waits_no_longer(configured: Desk) -> None:
    configured.record("inbox/calls/a.wav")
    with Service(configured.folder):
        eventually((configured.folder / "events.jsonl").exists)
    configured.record("inbox/calls/b.wav")
    assert configured("check", "--json").json["waiting"]["recordings"] == 1


def broken_store(desk: Desk) -> None:
    (desk.folder / "afterword.db").write_bytes(b"no database, but long enough to look like a file of one" * 40)


def newer_store(desk: Desk) -> None:
    with sqlite3.connect(desk.folder / "afterword.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def results_in_the_way(desk: Desk) -> None:
    (desk.folder / "results").write_text("a file")


def events_in_the_way(desk: Desk) -> None:
    (desk.folder / "events.jsonl").mkdir()


def inbox_in_the_way(desk: Desk) -> None:
    (desk.folder / "inbox").write_text("a file")


@pytest.mark.parametrize(
    ("breaks", "problem"),
    [
        (broken_store, "AFTERWORD_JOBS: the job store failed: SQLITE_NOTADB; mend the file"),
        (newer_store, "AFTERWORD_JOBS: the job store .* newer Afterword .*; upgrade this one"),
        (results_in_the_way, "AFTERWORD_RESULTS: .*/results is no folder; name a folder"),
        (events_in_the_way, "AFTERWORD_EVENTS: .*/events.jsonl is no regular file; mend that"),
        (inbox_in_the_way, r"AFTERWORD_DROPS: .*/inbox cannot be read \(Not a directory\); mend that"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_engine_that_does_not_work_is_a_problem(configured: Desk, breaks: Any, problem: str) -> None:
    breaks(configured)
    ran = configured("check")
    assert ran.code == 1
    [line] = [line for line in ran.out.splitlines() if line.startswith("problem: ")]
    assert re.match(f"problem: {problem}", line), line
    assert configured("check", "--offline").code == 0


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("ASSEMBLYAI_API_KEY", "wrong", "ASSEMBLYAI_API_KEY: it is refused .*; copy it anew"),
        ("AFTERWORD_ASSEMBLYAI_URL", "http://127.0.0.1:9", "AFTERWORD_ASSEMBLYAI_URL: .*; see that the host"),
        ("AFTERWORD_LLM_GATEWAY_URL", "http://127.0.0.1:9", "AFTERWORD_LLM_GATEWAY_URL: .* does not answer"),
        ("AFTERWORD_JOBS", "sqlite:///gone/jobs.db", "AFTERWORD_JOBS: its folder .*/gone is not there"),
        ("AFTERWORD_RESULTS", "pipelines.toml/results", "AFTERWORD_RESULTS: .*/pipelines.toml is no folder"),
        ("AFTERWORD_EVENTS", "pipelines.toml/e.jsonl", "AFTERWORD_EVENTS: no file can be made in .*/pipelines.toml"),
        ("AFTERWORD_DROPS", "pipelines.toml/inbox", "AFTERWORD_DROPS: the folder is not there and cannot be made"),
    ],
)
def test_a_place_that_cannot_be_used_is_a_problem(configured: Desk, name: str, value: str, problem: str) -> None:
    configured.environ(name, value)
    ran = configured("check")
    assert ran.code == 1
    [line] = [line for line in ran.out.splitlines() if line.startswith("problem: ")]
    assert re.match(f"problem: {problem}", line), line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_a_problem(configured: Desk) -> None:
    results = configured.folder / "results"
    results.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    assert "AFTERWORD_RESULTS: " in configured("check").out


def test_a_gateway_that_is_none_is_a_problem(configured: Desk, standin: str) -> None:
    configured.environ("AFTERWORD_LLM_GATEWAY_URL", standin)
    set_faults(standin, {"on": "models", "do": "status", "status": 404})
    assert "answers /v1/models with 404, which no LLM Gateway does" in configured("check").out


def test_a_public_url_that_does_not_answer_is_only_a_doubt(configured: Desk) -> None:
    configured.environ("AFTERWORD_PUBLIC_URL", "http://127.0.0.1:9")
    configured.environ("AFTERWORD_WEBHOOK_SECRETS", "x" * 32)
    ran = configured("check")
    assert ran.code == 0
    assert "warning: AFTERWORD_PUBLIC_URL: /callbacks/check does not answer there; start the service" in ran.err


@pytest.mark.parametrize(("version", "doubt"), [((3, 40, 1), True), ((3, 44, 6), False), ((3, 51, 3), False)])
def test_a_library_that_may_corrupt_the_store_is_a_doubt(
    configured: Desk, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], doubt: bool
) -> None:
    monkeypatch.setattr(probes.sqlite3, "sqlite_version_info", version)
    assert ("WAL-reset bug" in configured("check").err) is doubt


def test_the_key_is_in_nothing_that_is_printed(configured: Desk) -> None:
    configured.environ("ASSEMBLYAI_API_KEY", "wrong-key-that-nobody-may-see")
    for words in (["check"], ["check", "--json"]):
        ran = configured(*words)
        assert "nobody-may-see" not in ran.out + ran.err


MODELS = """
[defaults]
model = "claude-sonnet-4-6"

[[pipelines]]
name = "calls"
match = ["**/*"]

[[pipelines.prompts]]
name = "summary"
prompt = "Summarize. {{ transcript }}"

[[pipelines.prompts]]
name = "mood"
model = "claude-sonnet-5"
temperature = 0.0
prompt = "Name the mood. {{ transcript }}"

[[pipelines.prompts]]
name = "title"
prompt = "Give it a title. {{ transcript }}"
fallbacks = ["gpt-5"]
"""


def test_models_are_compared_with_the_live_catalogue(configured: Desk, standin: str) -> None:
    (configured.folder / "pipelines.toml").write_text(MODELS)
    soon = int(time.time()) + 20 * 86_400
    set_faults(
        standin, {"do": "retire", "model": "claude-sonnet-4-6"}, {"do": "retire_at", "model": "gpt-5", "at": soon}
    )
    ran = configured("check")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        (
            "problem: pipelines.toml:3 defaults.model: the LLM Gateway offers no model `claude-sonnet-4-6`"
            " (asked by pipelines[calls].prompts[summary], pipelines[calls].prompts[title]);"
            " use `claude-sonnet-4-5-20250929`, the nearest that would do"
        ),
        (
            "problem: pipelines.toml:16 pipelines[calls].prompts[mood].temperature:"
            " `claude-sonnet-5` takes no `temperature`;"
            " take it out, or use `claude-sonnet-4-5-20250929`, the nearest that would do"
        ),
        "2 problems",
    ]
    (warning,) = [line for line in ran.err.splitlines() if "pipelines.toml" in line]
    assert warning.startswith(
        "warning: pipelines.toml:22 pipelines[calls].prompts[title].fallbacks[#1]: `gpt-5` retires"
    )
    offline = configured("check", "--offline")
    assert (offline.code, offline.out) == (0, "no problems\n")


@pytest.mark.parametrize("fault", [{"do": "status", "status": 503, "skip": 1}, {"do": "status"}, {"do": "garble"}])
def test_a_catalogue_that_cannot_be_had_is_one_doubt_and_the_rest_is_tried(
    configured: Desk, standin: str, fault: dict[str, Any]
) -> None:
    (configured.folder / "pipelines.toml").write_text(MODELS)
    results_in_the_way(configured)
    set_faults(standin, {"on": "models", **fault})
    ran = configured("check")
    problems = [line for line in ran.out.splitlines() if line.startswith("problem: ")]
    assert [line.split(": ")[1] for line in problems] == ["AFTERWORD_RESULTS"]
    (warning,) = [line for line in ran.err.splitlines() if "catalogue" in line]
    assert warning.startswith("warning: AFTERWORD_LLM_GATEWAY_URL: the catalogue of models cannot be had now (")
