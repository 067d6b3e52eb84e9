"""The command line as a whole: help, version, wrong usage, bad input, and what goes where."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service import __version__
from service.cli.app import COMMANDS
from service.domain.errors import RecordingMissing, Unavailable
from service.engine.errors import LeaseLost, StoreTrouble
from service.templates import starter
from tests.cli.desk import Desk, environment, process

USAGE = [
    (),
    ("frobnicate",),
    ("--frobnicate",),
    ("init", "extra"),
    ("schema",),
    ("schema", "nothing"),
    ("submit",),
    ("submit", "--nonsense", "a"),
    ("check", "key-without-match"),
    ("status", "extra"),
    ("jobs",),
    ("jobs", "frobnicate"),
    ("jobs", "show"),
    ("jobs", "list", "--limit", "0"),
    ("jobs", "list", "--status", "lost"),
    ("jobs", "retry"),
    ("jobs", "retry", "job", "--failed"),
    ("jobs", "retry", "job", "--since", "2d"),
    ("jobs", "reanalyze"),
    ("jobs", "reanalyze", "job", "--pipeline", "calls"),
    ("jobs", "republish"),
    ("jobs", "republish", "job", "--run", "0"),
    ("simulate", "--port", "65536"),
    ("simulate", "--gateway-limit", "none"),
]

BAD = [
    (("submit", ""), "the target is empty; name a file"),
    (("submit", "s3://My_Bucket/key"), "no bucket that there can be; write it as s3://"),
    (("submit", "ftp://host/a.mp3"), "ftp:// is not supported; name a file"),
    (("submit", "http://example.com/a.mp3"), "plain http .*; use https"),
    (("submit", "transcript:a b"), "no transcript id .*; write transcript:"),
    (("submit", "missing.mp3"), r"missing.mp3: .* cannot be read \(No such file or directory\); name a file"),
    (("submit", "empty.mp3"), "empty.mp3: .* is empty; name a file with sound"),
    (("submit", "notes"), "notes: it is a folder; take all in it with --recursive"),
    (("submit", "recording.mp3", "--recursive"), "recording.mp3: it is no folder; name a folder"),
    (("submit", "https://a.b/c.mp3", "--recursive"), "only folders .*; name a folder"),
    (("submit", "strange.xyz"), "strange.xyz: no pipeline takes this recording; choose one of calls, notes"),
    (("submit", "recording.mp3", "--pipeline", "cals"), "--pipeline cals: there is no such pipeline; choose one of"),
    (("submit", "recording.mp3", "--metadata", "Agent"), "--metadata Agent: has no `=`; write it as NAME=VALUE"),
    (("submit", ".", "--recursive"), "would be transcribed and billed, and nobody can be asked; say --yes"),
    (("status",), "AFTERWORD_JOBS: there is no job store at .*; go to the service's folder"),
    (("jobs", "list"), "AFTERWORD_JOBS: there is no job store at .*; go to"),
    (("jobs", "list", "--since", "yesterday"), "--since yesterday: that is not a duration; write it like 2d"),
    (("jobs", "show", "job_1"), "AFTERWORD_JOBS: there is no job store at .*; go to"),
    (("jobs", "retry", "job_1"), "AFTERWORD_JOBS: there is no job store at .*; go to"),
    (("jobs", "reanalyze", "job_1"), "AFTERWORD_JOBS: there is no job store at .*; go to"),
    (("jobs", "republish", "job_1"), "AFTERWORD_JOBS: there is no job store at .*; go to"),
    (("simulate", "--fault", "lose"), "--fault 'lose': it is no rule; write it like"),
    (("simulate", "--fault", "webhook explode"), "'explode' is none of .*; mend the rule"),
    (("simulate", "--fault", "webhook lose probability=often"), "takes a number .*; mend the rule"),
    (("simulate", "--recordings", "."), "there is no scripts.json in .*; name a folder"),
    (("simulate", "--ready-file", "nowhere/url"), "its folder nowhere is not there; make it"),
    (("simulate", "--host", "no.such.host.invalid"), "cannot listen on .*; stop what listens there"),
]


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_wrong_usage_ends_in_2_and_says_how_it_is_used(desk: Desk, words: tuple[str, ...]) -> None:
    ran = desk(*words)
    assert ran.code == 2
    assert "Usage: afterword" in ran.out + ran.err
    assert not desk.names()


@pytest.mark.parametrize(("words", "said"), BAD, ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_bad_input_is_one_sentence_and_ends_in_1(desk: Desk, words: tuple[str, ...], said: str) -> None:
    desk.configure("http://127.0.0.1:9")
    desk.record("recording.mp3")
    desk.record("strange.xyz")
    desk.record("notes/a")
    (desk.folder / "empty.mp3").touch()
    ran = desk(*words)
    assert ran.code == 1
    [error] = ran.errors
    assert re.search(said, error), error
    assert ran.out == ""
    assert not (desk.folder / "afterword.db").exists()


@pytest.mark.parametrize(
    "command", ["", *COMMANDS, "jobs list", "jobs show", "jobs retry", "jobs reanalyze", "jobs republish"]
)
def test_every_command_explains_itself(desk: Desk, command: str) -> None:
    ran = desk(*command.split(), "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: afterword {command}".strip())


def test_the_version_is_printed(desk: Desk) -> None:
    assert desk("--version").out == f"afterword {__version__}\n"


@pytest.mark.parametrize("words", [["--help"], ["init", "--help"], ["schema", "--help"]])
def test_what_only_explains_itself_loads_nothing_heavy(words: list[str]) -> None:
    program = f"import sys; from service.cli.app import run; run({words!r}); print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(ran.stdout.splitlines()[-1].split())
    assert not loaded & {"httpx2", "uvicorn", "starlette", "rich.live", "watchfiles", "structlog", "service.wiring"}


def test_the_module_is_the_command(tmp_path: Path) -> None:
    ran = process("schema", "nothing", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "Usage: afterword schema" in ran.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("words", [("schema", "event"), ("check", "--offline")])
def test_a_result_that_finds_no_room_is_told_and_ends_in_1(tmp_path: Path, words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "service", *words]
        ran = subprocess.run(
            command, cwd=tmp_path, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ran.returncode == 1
    assert "error: stdout: the result cannot be written (No space left on device); make room there" in ran.stderr
    assert "unexpected" not in ran.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Unavailable("the disk is full"), "error: the disk is full; try again later"),
        (RecordingMissing("it is gone"), "error: it is gone"),
        (StoreTrouble("the job store failed: SQLITE_CORRUPT"), "error: the job store failed: SQLITE_CORRUPT; see that"),
        (LeaseLost(), "error: somebody else is at that job; try again"),
        (TimeoutError(), "error: it took too long; try again"),
        (ZeroDivisionError("secret"), "error: something unexpected went wrong (ZeroDivisionError); set AFTERWORD_LOG"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_is_raised_is_told_in_a_sentence(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    monkeypatch.setattr(starter, "pipelines", raises(error))
    ran = desk("init")
    assert ran.code == 1
    [line] = ran.err.splitlines()
    assert line.startswith(said)
    assert "secret" not in line


def test_a_bug_can_be_looked_into(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "pipelines", raises(ZeroDivisionError("secret")))
    desk.environ("AFTERWORD_LOG_LEVEL", "debug")
    ran = desk("init")
    assert ran.code == 1
    detail = json.loads(ran.err.splitlines()[1])
    assert "service.cli.init:" in detail["exception"][0]
    assert "secret" not in ran.err


def raises(error: Exception) -> Callable[[], str]:
    def raising() -> str:
        raise error

    return raising
