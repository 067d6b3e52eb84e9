"""The pipelines file: loaded whole, or refused with every problem, its line and its cure."""

import re
from pathlib import Path

import pytest

from service.domain.errors import Refused
from service.domain.pipeline import SPEECH_MODELS, Outputs, Speech
from service.domain.pipelines.file import load
from service.templates import starter
from tests.unit.pipelines_samples import HEAD, PROMPT, loaded, refused, written


def test_all_that_is_wrong_is_listed_at_once_in_the_files_order(tmp_path: Path) -> None:
    text = f"""\
modle = 1
{HEAD}[pipelines.transcript]
webhook_url = "x"
{PROMPT}max_tokens = -1
[[pipelines.prompts]]
name = "mood"
prompt = "{{{{ answers.action }}}}"
[[pipelines.prompts]]
name = "action"
prompt = "{{{{ answers.mood }}}} {{{{ utterances }}}}"
[[pipelines]]
"""
    lines = [problem.place.split(" ")[0] for problem in refused(tmp_path, text)]
    assert lines == [f"pipelines.toml:{line}" for line in (1, 8, 12, 13, 18, 19, 19)]


def test_what_could_not_be_read_is_not_also_called_missing(tmp_path: Path) -> None:
    text = "[defaults]\nmodel = 3\n[[pipelines]]\nname = 3\nmatch = 3\n[[pipelines.prompts]]\nname = 3\nprompt = 3\n"
    assert len(refused(tmp_path, text)) == 5


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"pipelines.toml: there is no such file; make one with `afterword init`"):
        load(tmp_path / "pipelines.toml")


@pytest.mark.parametrize(
    ("content", "what"), [(b"\xff", "not UTF-8"), (b"#" * (1024 * 1024 + 1), "larger than 1024 KiB")], ids=["b", "size"]
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    [problem] = refused(tmp_path, content)
    assert what in problem.what


def test_a_folder_is_no_pipelines_file(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        load(tmp_path)


def test_a_link_does_not_lead_a_prompt_file_out(tmp_path: Path) -> None:
    (tmp_path / "outside.md").write_text("{{ transcript }}")
    home = tmp_path / "home"
    home.mkdir()
    (home / "in.md").symlink_to(tmp_path / "outside.md")
    [problem] = refused(home, f"{HEAD}[[pipelines.prompts]]\nname = 'a'\nprompt_file = 'in.md'")
    assert "outside the folder" in problem.what


def test_a_prompt_file_is_read_beside_the_pipelines_file(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/a.md").write_text("Über {{transcript}}", encoding="utf-8")
    found = loaded(tmp_path, f"{HEAD}[[pipelines.prompts]]\nname = 'a'\nprompt_file = 'prompts/a.md'")
    [message] = found.pipelines.pipelines[0].prompts[0].messages
    assert (message.role, message.content) == ("user", "Über {{transcript}}")


def test_defaults_are_inherited_and_overridden(tmp_path: Path) -> None:
    text = """\
[defaults]
model = "m"
max_tokens = 7
fallbacks = ["f", { model = "g", temperature = 1 }]
required = false
[defaults.transcript]
language_code = "de"
punctuate = false
[defaults.outputs]
captions = ["vtt", "vtt"]
keep_transcript = false
[[pipelines]]
name = "a"
match = []
transcript.punctuate = true
transcript.speech_models = ["universal-2"]
outputs.keep_transcript = true
[[pipelines.prompts]]
name = "one"
prompt = "{{ transcript }}"
[[pipelines.prompts]]
name = "two"
prompt = "{{ answers.one }}"
required = true
model = "n"
fallbacks = []
reasoning = { effort = "low" }
[[pipelines]]
name = "b"
match = ["*"]
"""
    first, second = loaded(tmp_path, text).pipelines.pipelines
    assert first.transcript == {"language_code": "de", "punctuate": True, "speech_models": ["universal-2"]}
    assert first.outputs == Outputs(captions=("vtt",), keep_transcript=True)
    assert first.prompts[0].request == {
        "model": "m",
        "max_tokens": 7,
        "fallbacks": [{"model": "f"}, {"model": "g", "temperature": 1}],
    }
    assert first.prompts[1].request == {"model": "n", "max_tokens": 7, "reasoning": {"effort": "low"}}
    assert [each.required for each in first.prompts] == [False, True]
    assert second.transcript == {"language_code": "de", "punctuate": False, "speech_models": list(SPEECH_MODELS)}
    assert second.outputs == Outputs(captions=("vtt",), keep_transcript=False)


def test_how_prompts_see_the_speech_is_inherited_and_overridden(tmp_path: Path) -> None:
    text = """\
[defaults]
model = "m"
[defaults.transcript]
language_detection = true
[defaults.speech]
timestamps = true
fallback_language = "de"
speakers = { A = "Agent" }
[[pipelines]]
name = "a"
match = []
speech = { timestamps = false, speakers = { 1 = "Caller" } }
[[pipelines.prompts]]
name = "one"
prompt = "{{ paragraphs }}"
[[pipelines]]
name = "b"
match = ["*"]
"""
    found = loaded(tmp_path, text)
    first, second = found.pipelines.pipelines
    assert first.speech == Speech(timestamps=False, speakers={"1": "Caller"}, fallback_language="de")
    assert second.speech == Speech(timestamps=True, speakers={"A": "Agent"}, fallback_language="de")
    assert "speech" not in first.prompts[0].request
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("lines", "place", "words"),
    [
        (
            "transcript = { redact_pii = true, redact_pii_return_unredacted = true }",
            "6 pipelines[calls].transcript.redact_pii_return_unredacted",
            "nothing of them is used here; take it out",
        ),
        (
            "transcript.redact_pii_audio = true",
            "6 pipelines[calls].transcript.redact_pii_audio",
            "goes with `redact_pii`; set `redact_pii = true`",
        ),
        (
            "transcript = { redact_pii = true, speech_understanding = { request = {} } }",
            "6 pipelines[calls].transcript.speech_understanding",
            "not kept; ask for it by a prompt",
        ),
        (
            "speech.fallback_language = 'en'",
            "6 pipelines[calls].speech.fallback_language",
            "detect the language; set `language_detection = true`",
        ),
        ("transcript = { redact_pii = true, redact_pii_audio = true }", "", ""),
        ("transcript.language_detection = true\nspeech.fallback_language = 'en'", "", ""),
    ],
)
def test_options_of_the_speech_that_do_less_than_they_seem_are_a_warning(
    tmp_path: Path, lines: str, place: str, words: str
) -> None:
    warnings = loaded(tmp_path, f"{HEAD}{lines}\n{PROMPT}").warnings
    told = [(each.place.removeprefix("pipelines.toml:"), f"{each.what}; {each.cure}") for each in warnings]
    assert [each for each, _ in told] == ([place] if place else [])
    assert all(words in said for _, said in told)


def test_what_is_only_doubtful_is_a_warning(tmp_path: Path) -> None:
    text = f"[defaults.transcript]\nfilter_profanty = true\n{HEAD}combine = true\ntranscript.zzzzzzzzz = 1\n"
    warnings = loaded(tmp_path, text).warnings
    assert [each.place for each in warnings] == [
        "pipelines.toml:2 defaults.transcript.filter_profanty",
        "pipelines.toml:8 pipelines[calls].combine",
        "pipelines.toml:9 pipelines[calls].transcript.zzzzzzzzz",
    ]
    assert "did you mean `filter_profanity`?" in warnings[0].cure
    assert "no two prompts can share a request" in warnings[1].what
    assert "sent as it is" in warnings[2].cure


@pytest.mark.parametrize(("match", "shadowed"), [("['A/*']", True), ("['a/*', 'b']", False), ("[]", False)])
def test_a_pipeline_that_can_never_match_is_a_warning(tmp_path: Path, match: str, shadowed: bool) -> None:
    head = "[[pipelines]]\nname = 'one'\nmatch = ['a/*']\n[[pipelines]]\nname = 'two'\n"
    found = [each.place for each in loaded(tmp_path, f"{head}match = {match}").warnings]
    assert found == (["pipelines.toml:6 pipelines[two].match"] if shadowed else [])
    everything = f"[[pipelines]]\nname = 'all'\nmatch = ['**/*']\n{head}match = {match}"
    assert len(loaded(tmp_path, everything).warnings) == (1 if match == "[]" else 2)


def test_a_key_with_odd_characters_keeps_its_problem_on_one_line(tmp_path: Path) -> None:
    [problem] = refused(tmp_path, f'{HEAD}"a\\n\\u001bb" = 1')
    assert str(problem).isprintable()


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    plain = loaded(tmp_path, HEAD + PROMPT).pipelines
    assert load(written(tmp_path, b"\xef\xbb\xbf" + (HEAD + PROMPT).replace("\n", "\r\n").encode())).pipelines == plain


def test_what_the_file_to_start_from_offers_loads_too(tmp_path: Path) -> None:
    offered = re.sub(r"^#(?! |$)", "", starter.pipelines(), flags=re.MULTILINE)
    found = loaded(tmp_path, offered)
    calls = found.pipelines.pipelines[0]
    assert found.warnings == ()
    assert [each.name for each in calls.prompts] == ["summary", "sentiment", "triage", "coaching"]
    assert calls.attributes.keys() >= {"reason", "topics"}


def test_the_file_to_start_from_loads_without_a_word(tmp_path: Path) -> None:
    found = loaded(tmp_path, starter.pipelines())
    assert found.warnings == ()
    assert [each.name for each in found.pipelines.pipelines] == ["calls", "recordings"]
