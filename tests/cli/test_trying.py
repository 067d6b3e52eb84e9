"""`afterword try`: what is asked, what comes back, and that nothing else happens."""

from tests.cli.desk import Desk, Service
from tests.standin import KEY, ledger, set_faults, totals

TWO = """
[defaults]
model = "claude-sonnet-4-6"
max_tokens = 400

[[pipelines]]
name = "calls"
match = ["calls/**/*.wav"]

[[pipelines.prompts]]
name = "summary"
prompt = "Summarize the call. {{ transcript }}"

[[pipelines.prompts]]
name = "title"
prompt = "A title for this: {{ answers.summary }}"

[[pipelines.prompts]]
name = "mood"
prompt = "The mood? {{ transcript }}"

[pipelines.outputs]
keep_transcript = false
captions = ["srt"]
"""


def test_it_shows_each_request_and_answer_and_publishes_nothing(configured: Desk, standin: str) -> None:
    configured.record("calls/a.wav")
    before = configured.names()
    ran = configured("try", "calls", "calls/a.wav", "--yes")
    assert ran.code == 0, ran.err
    assert "REQUEST 1 of 1: claude-sonnet-4-6" in ran.out
    assert '"content": "Summarize the call. {{ transcript }}"' in ran.out
    assert "[stand-in extract]" in ran.out
    assert "TOGETHER 1 request, " in ran.out
    assert configured.names() == before
    assert (totals(standin)["submissions"], totals(standin)["asks_billed"]) == (1, 1)
    assert KEY not in ran.out + ran.err


def test_a_recording_that_is_done_is_not_transcribed_again_even_if_the_vendor_forgot_it(
    configured: Desk, standin: str
) -> None:
    (configured.folder / "pipelines.toml").write_text(TWO)
    configured.record("inbox/calls/a.wav")
    with Service(configured.folder):
        job = configured("submit", "inbox/calls/a.wav", "--wait", "--json").json["jobs"][0]
    told = (configured.folder / "events.jsonl").read_bytes()
    ran = configured("try", "calls", "inbox/calls/a.wav", "--json")
    assert ran.code == 0, ran.err
    assert list(ran.json["result"]["answers"]) == ["summary", "title", "mood"]
    assert totals(standin)["submissions"] == 1
    assert f"of {job['job_id']}, not transcribed again" in configured("try", "calls", "inbox/calls/a.wav").out
    assert (configured.folder / "events.jsonl").read_bytes() == told


def test_one_prompt_is_asked_with_what_it_uses_and_nothing_else(configured: Desk, standin: str) -> None:
    (configured.folder / "pipelines.toml").write_text(TWO)
    configured.record("calls/a.wav")
    ran = configured("try", "calls", "calls/a.wav", "--prompt", "title", "--yes", "--json")
    assert list(ran.json["result"]["answers"]) == ["summary", "title"]
    assert ran.json["result"]["files"].keys() == {"result", "transcript_json", "transcript_txt"}
    assert len(ledger(standin)["asks"]) == 2


def test_where_the_allowance_is_spent_it_waits_for_its_turn(configured: Desk, standin: str) -> None:
    configured.record("calls/a.wav")
    set_faults(standin, {"on": "ask", "do": "status", "status": 429, "retry_after": 1, "times": 1})
    ran = configured("try", "calls", "calls/a.wav", "--yes", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["result"]["outcome"] == "complete"
    assert totals(standin)["asks_billed"] == 1


def test_what_is_wrong_is_told_before_anything_is_paid(configured: Desk, standin: str) -> None:
    configured.record("calls/a.wav")
    unnamed = configured("try", "colls", "calls/a.wav", "--yes")
    assert unnamed.errors == ["error: pipeline colls: there is no such pipeline; choose one of calls, notes"]
    unknown = configured("try", "calls", "calls/a.wav", "--prompt", "titel", "--yes")
    assert unknown.errors == ["error: --prompt titel: pipeline calls has no such prompt; choose from summary"]
    unasked = configured("try", "calls", "calls/a.wav")
    cure = "say --yes, or name a transcript that is there: transcript:ID"
    assert unasked.errors == [f"error: calls/a.wav: it has no transcript yet, and making one is billed; {cure}"]
    assert totals(standin)["submissions"] == 0


def test_a_prompt_that_fails_is_told_and_exits_1(configured: Desk, standin: str) -> None:
    configured.record("calls/a.wav")
    set_faults(standin, {"on": "ask", "do": "null_content"})
    ran = configured("try", "calls", "calls/a.wav", "--yes")
    assert ran.code == 1
    assert "prompt_empty: the model gave no content" in ran.out


def test_a_refused_account_ends_it_with_the_cure(configured: Desk, standin: str) -> None:
    configured.record("calls/a.wav")
    set_faults(standin, {"on": "submit", "do": "account", "trouble": "balance"})
    ran = configured("try", "calls", "calls/a.wav", "--yes")
    assert ran.code == 1
    assert [line.partition(": ")[2][:8] for line in ran.errors] == ["balance:"]


def test_a_transcript_without_the_redaction_of_today_is_not_tried_on_and_no_audio_is_waited_for(
    configured: Desk, standin: str
) -> None:
    (configured.folder / "pipelines.toml").write_text(TWO)
    configured.record("inbox/calls/a.wav")
    with Service(configured.folder):
        configured("submit", "inbox/calls/a.wav", "--wait")
    discreet = "[pipelines.transcript]\nredact_pii = true\nredact_pii_audio = true\n\n[[pipelines.prompts]]"
    (configured.folder / "pipelines.toml").write_text(TWO.replace("[[pipelines.prompts]]", discreet, 1))
    asked = ledger(standin)["calls"].get("captions", 0)
    unasked = configured("try", "calls", "inbox/calls/a.wav")
    assert "it has no transcript yet" in unasked.errors[0]
    ran = configured("try", "calls", "inbox/calls/a.wav", "--prompt", "mood", "--yes")
    assert ran.code == 0, ran.err
    assert "deleted again" in ran.out
    assert totals(standin)["submissions"] == 2
    assert ledger(standin)["calls"].get("captions", 0) == asked
