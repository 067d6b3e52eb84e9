"""`demo`: the whole job, its troubles and its books, as a newcomer sees them."""

import io
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from service.cli.demonstration import cost, figures, samples
from service.cli.demonstration.figures import Outcomes
from service.cli.demonstration.story import Stop, Stopped, Stuck, Watch
from service.cli.demonstration.vendor import Ledger, troubles
from service.cli.demonstration.watching import Course, Log, advanced
from service.domain.pipelines.file import load
from service.simulator import recogniser
from service.templates import starter
from tests.cli.desk import Desk, environment, eventually, process
from tests.standin import KEY, running, write_script

BALANCED = "3 recordings: 3 transcripts, 9 answers, 0 paid twice, 1 lost callback recovered, 1 forgery refused"
SHARED_AND_ONE_WITHOUT_A_MODEL = """
[defaults]
max_tokens = 200

[[pipelines]]
name = "own"
match = ["*.wav"]
combine = true

[[pipelines.prompts]]
name = "summary"
model = "claude-sonnet-4-6"
prompt = "Summarize it. {{ transcript }}"

[[pipelines.prompts]]
name = "animals"
model = "claude-sonnet-4-6"
schema = { type = "object", properties = { names = { type = "array", items = { type = "string" } } } }
prompt = "Which animals? {{ transcript }}"

[[pipelines.prompts]]
name = "title"
model = "no-such-model"
prompt = "Give it a title. {{ transcript }}"
"""


def test_everything_goes_through_and_every_trouble_is_told(tmp_path: Path) -> None:
    """One run of the whole, because it takes its time: what is printed, what lies there, and what was not used."""
    (tmp_path / ".env").write_text("AFTERWORD_LEASE=never\nASSEMBLYAI_API_KEY=mine\n")
    odd = {"AFTERWORD_RESULTS": "s3://elsewhere", "ASSEMBLYAI_API_KEY": "mine", "AFTERWORD_PORT": "x", "NO_COLOR": "1"}
    ran = process("demo", "--workdir", "shown", cwd=tmp_path, environ=odd)
    shown = tmp_path / "shown"
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr
    assert "\x1b" not in ran.stdout + ran.stderr
    # What happened on the way, in the order in which it can be understood.
    told = re.findall(r"^ +[\d.]+ s  (.*)$", ran.stderr, re.MULTILINE)
    first_words = ["the stand-in listens", "3 recordings dropped", "FORGED", "DUPLICATED", "KILLED", "RESTARTED"]
    places = [next(at for at, line in enumerate(told) if line.startswith(words)) for words in first_words]
    assert places == sorted(places)
    for words in ("LOST callback for meetings/", "nobody answered", "called again about", "RECOVERED meetings/"):
        assert sum(words in line for line in told) == 1, words
    assert "1 of 3 published, 2 at the vendor" in ran.stderr
    for key in ("calls/support-call.mp3", "interviews/island-baker.mp3", "meetings/team-meeting.flac"):
        for stage in ("submitting", "transcribing", "asking prompts", "published (3 answers, one event)"):
            assert f"{key}: {stage}" in ran.stderr
        assert f"\n{key}\n" in ran.stdout
    # What it came to.
    assert "extracts sentences from the transcript" in ran.stdout
    assert '"type": "afterword.recording.analyzed.v1"' in ran.stdout
    assert f"LEDGER\n  {BALANCED}\n" in ran.stdout
    assert len(ran.stdout.partition("\nNEXT\n")[2].splitlines()) == 3
    # Killed between telling and noting that it told, it tells the same again, to the byte.
    assert len(set((shown / "events.jsonl").read_bytes().splitlines())) == 3
    assert len(list(shown.rglob("answers/*.json"))) == 9
    assert str(shown / "inbox") in ran.stderr
    assert not (tmp_path / "results").exists()
    assert _left_behind(shown) == []


def test_ones_own_speech_and_prompts_are_used_and_what_fails_is_told_and_exits_1(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(SHARED_AND_ONE_WITHOUT_A_MODEL)
    write_script(tmp_path / ".mine.wav", "The quick fox is mine.", "So is the lazy dog.")
    words = ("--recording", ".mine.wav", "--pipelines", "own.toml", "--workdir", "shown")
    ran = process("demo", *words, cwd=tmp_path, environ={"NO_COLOR": "1"})
    assert ran.returncode == 1, ran.stderr
    assert "calls/support-call.mp3 is left out: no pipeline in own.toml takes it" in ran.stderr
    assert "mine.wav\n  (what was heard)\n    The quick fox is mine. So is the lazy dog." in ran.stdout
    assert (
        "1 recording: 1 transcript, 2 answers, 0 paid twice, 0 lost callbacks recovered, 1 forgery refused"
        in ran.stdout
    )
    assert '\n  animals\n    {\n      "names": [' in ran.stdout
    broken = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    assert [line.partition(": prompt title")[0] for line in broken] == [
        "error: the ledger does not balance: mine.wav failed"
    ]
    assert "NEXT" not in ran.stdout
    assert _left_behind(tmp_path / "shown") == []


def test_ctrl_c_ends_both_processes_without_a_traceback(tmp_path: Path) -> None:
    with _demo(tmp_path) as demo:
        eventually(lambda: "submitting" in (tmp_path / "said").read_text())
        assert len(_left_behind(tmp_path / "shown")) == 2
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 130
    said = (tmp_path / "said").read_text()
    assert said.endswith(f"stopped; what there is lies in {tmp_path / 'shown'}\n")
    assert "Traceback" not in said
    assert _left_behind(tmp_path / "shown") == []


def test_nothing_is_left_behind_even_by_a_demonstration_that_is_killed(tmp_path: Path) -> None:
    with _demo(tmp_path) as demo:
        eventually(lambda: "submitting" in (tmp_path / "said").read_text())
        demo.kill()
    eventually(lambda: not _left_behind(tmp_path / "shown"))


def test_with_a_key_the_cost_is_told_and_the_vendor_itself_is_asked(tmp_path: Path) -> None:
    mine = write_script(tmp_path / "mine.wav", "Nothing but my own words.")
    with running() as url:
        account = {"AFTERWORD_ASSEMBLYAI_URL": url, "AFTERWORD_LLM_GATEWAY_URL": url, "ASSEMBLYAI_API_KEY": KEY}
        words = ("demo", "--live", "--yes", "--recording", str(mine), "--workdir", "shown")
        ran = process(*words, cwd=tmp_path, environ=account)
    assert ran.returncode == 0, ran.stderr
    assert "An estimate, not an offer" in ran.stderr
    assert "KILLED" not in ran.stderr
    assert "1 recording: 1 transcript, 3 answers, " in ran.stdout


def test_with_a_key_nothing_is_begun_that_was_not_agreed_to(
    desk: Desk, standin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _has_an_account(desk, standin, KEY)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    ran = desk("demo", "--live", "--recording", str(desk.record("mine.wav")), "--workdir", "shown")
    assert ran.code == 1
    assert "error: --live: it costs money, and there is no terminal to ask on; agree" in ran.err
    assert not (desk.folder / "shown").exists()


def test_a_key_that_the_vendor_refuses_is_told(desk: Desk, standin: str) -> None:
    _has_an_account(desk, standin, "wrong")
    ran = desk("demo", "--live", "--yes", "--workdir", "shown")
    assert ran.code == 1
    assert "error: AssemblyAI refuses the account" in ran.err


def test_without_a_key_it_says_where_to_get_one(desk: Desk) -> None:
    ran = desk("demo", "--live")
    assert ran.code == 1
    assert ran.errors[0].startswith("error: ASSEMBLYAI_API_KEY: it is not set; ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--recording", "none.wav"), "--recording: there is no file none.wav; name an audio file"),
        (("--recording", "."), "--recording: . is not a file; name an audio file"),
        (("--recording", "empty.wav"), "--recording: empty.wav is empty; name an audio file with sound in it"),
        (("--recording", "x" * 300), f"--recording: {'x' * 300} cannot be read (File name too long); name a file"),
        (("--pipelines", "none.toml"), "--pipelines: there is no file none.toml; name a pipelines file"),
        (("--pipelines", "bad.toml"), "bad.toml:1: it is not TOML"),
        (("--pipelines", "calls.toml", "--recording", "mine.wav"), "takes mine.wav; add a pattern such as"),
        (("--workdir", "full"), "--workdir: full is not empty; name a folder that is empty or not there yet"),
        (("--workdir", "empty.wav"), "--workdir: empty.wav cannot be used (File exists); name another folder"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_sentence(desk: Desk, words: tuple[str, ...], said: str) -> None:
    (desk.folder / "empty.wav").touch()
    (desk.folder / "full").mkdir()
    (desk.folder / "full" / "thing").touch()
    (desk.folder / "bad.toml").write_text("nonsense")
    (desk.folder / "calls.toml").write_text(SHARED_AND_ONE_WITHOUT_A_MODEL.replace("*.wav", "calls/*"))
    desk.record("mine.wav")
    ran = desk("demo", *words)
    assert ran.code == 1
    assert len(ran.errors) == 1
    assert said in ran.errors[0]


def test_speech_that_nobody_here_can_hear_is_refused_with_the_way_to_ears(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recogniser, "PACKAGES", ("a_package_that_nobody_has",))
    (desk.folder / "mine.wav").write_bytes(b"RIFF\0\0\0\0WAVE" + bytes(100))
    ran = desk("demo", "--recording", "mine.wav")
    assert ran.code == 1
    assert f"make demo RECORDING={desk.folder / 'mine.wav'}" in ran.errors[0]
    assert "pip install 'afterword[recogniser]'" in ran.errors[0]


def test_wrong_usage_exits_2(desk: Desk) -> None:
    assert desk("demo", "--bogus").code == 2


LEDGER = Ledger(
    transcripts=3,
    requests=9,
    paid_twice=0,
    lost=["t2"],
    unanswered=[],
    duplicated=["t0"],
    forgeries=1,
    forgeries_refused=1,
    jobs={},
)


def test_books_that_balance_have_nothing_to_complain_of() -> None:
    found = _found()
    assert figures.told(found, LEDGER) == BALANCED
    assert _complaints(found, LEDGER) == []


@pytest.mark.parametrize(
    ("ledger", "starts", "complaint"),
    [
        (replace(LEDGER, transcripts=4), 2, "4 transcripts billed, but 3 recordings"),
        (replace(LEDGER, requests=10), 2, "10 requests to models billed, but 9 told in the events"),
        (replace(LEDGER, paid_twice=1), 2, "1 paid twice, but 0 allowed"),
        (replace(LEDGER, lost=["t9"]), 2, "0 lost callbacks recovered, but 1 lost"),
        (replace(LEDGER, forgeries_refused=0), 2, "0 forgeries refused, but 1 sent"),
        (replace(LEDGER, duplicated=[]), 2, "0 callbacks duplicated, but 1 meant"),
        (LEDGER, 1, "1 starts of the service, but 2 meant"),
    ],
)
def test_every_figure_is_held_against_what_it_should_be(ledger: Ledger, starts: int, complaint: str) -> None:
    assert complaint in _complaints(_found(), ledger, starts)


def test_a_recording_with_two_events_or_a_missing_answer_is_unsound() -> None:
    found = _found()
    pipelines = load(Path(starter.__file__).with_name("demo.toml")).pipelines
    bundled = samples.bundled()
    assert figures.unsound(bundled, pipelines, found) == []
    twice = replace(found, events=[*found.events, {**found.events[0], "id": "another"}])
    assert figures.unsound(bundled, pipelines, twice) == [f"{bundled[0].key} has 2 events instead of one"]
    short = {**found.events[0]["data"], "answers": {}}
    less = replace(found, events=[{**found.events[0], "data": short}, *found.events[1:]])
    assert figures.unsound(bundled, pipelines, less) == [f"{bundled[0].key} has 0 answers to 3 prompts"]


def test_the_estimate_names_its_assumptions_and_what_it_does_not_know() -> None:
    pipelines = load(Path(starter.__file__).with_name("demo.toml")).pipelines
    known, *_ = samples.bundled()
    told = "\n".join(cost.estimate([replace(known, seconds=3600.0), replace(known, seconds=None)], pipelines))
    assert "1 recording, 60.0 minutes at $0.21 an hour (Universal-3.5 Pro, October 2026): about $0.210" in told
    assert "how long it lasts is not known before" in told
    assert "6 prompts" in told


def test_who_waits_too_long_is_told_what_is_stuck(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_bytes(b'{"event": "drop.received", "job_id": "j", "key": "a.wav"}\nnot json\n{"event": "half')
    watch = Watch(log=Log(log), stop=Stop(), within=0.1)
    with pytest.raises(Stuck, match=r"gave up after 0 s waiting for the last event \(a.wav is submitting\)"):
        watch.until(watch.all_ended, "the last event", ())


def test_a_signal_is_heeded_between_two_steps(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    stop = Stop()
    watch = Watch(log=Log(tmp_path / "service.log"), stop=stop, within=10)
    with stop.heeded():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped):
            watch.until(lambda: False, "nothing", ())
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_failure_is_shown_with_its_reason() -> None:
    course = Course(job_id="j", key="a.wav", asked=2, stage=2)
    course = advanced(course, {"event": "answer.stored", "prompt": "summary"})
    assert course.standing().more == "1 of 2"
    course = advanced(course, {"event": "job.decided", "error": "no speech"})
    shown = advanced(course, {"event": "job.published", "outcome": "failed"}).standing()
    assert (shown.doing, shown.more, shown.failed) == ("failed", "no speech", True)


def _found() -> Outcomes:
    """What three recordings leave behind when all is well."""
    events = [
        {
            "id": f"e{number}",
            "subject": sample.key,
            "data": {
                "job_id": sample.job_id,
                "outcome": "complete",
                "transcript": {"id": f"t{number}"},
                "answers": {name: {"content": "said", "usage": {"requests": 1}} for name in ("a", "b", "c")},
            },
        }
        for number, sample in enumerate(samples.bundled())
    ]
    return Outcomes(events=events, transcripts=3, answers=9)


def _complaints(found: Outcomes, ledger: Ledger, starts: int = 2) -> list[str]:
    bundled = samples.bundled()
    return list(figures.unbalanced(bundled, found, ledger, troubles(bundled), starts))


def _has_an_account(desk: Desk, standin: str, key: str) -> None:
    desk.environ("AFTERWORD_ASSEMBLYAI_URL", standin)
    desk.environ("AFTERWORD_LLM_GATEWAY_URL", standin)
    desk.environ("ASSEMBLYAI_API_KEY", key)


@contextmanager
def _demo(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A demonstration that is under way; what it says is in the file `said`."""
    with (folder / "said").open("wb") as said:
        command = [sys.executable, "-m", "service", "demo", "--workdir", "shown"]
        demo = subprocess.Popen(command, cwd=folder, env=environment(), stdout=said, stderr=said)
    try:
        yield demo
    finally:
        demo.kill()
        demo.wait()


def _left_behind(folder: Path) -> list[int]:
    """Processes of a demonstration that still work in the folder."""
    found = []
    for process_ in psutil.process_iter():
        with suppress(psutil.Error):
            if process_.cwd() == str(folder) and any("leash" in word for word in process_.cmdline()):
                found.append(process_.pid)
    return found
