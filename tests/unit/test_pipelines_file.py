"""The pipelines file: loaded whole, or refused with every problem, its line and its cure."""

import copy
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from service.domain.errors import Problem, Refused
from service.domain.pipeline import SPEECH_MODELS, Outputs
from service.domain.pipelines_file import Loaded, load
from service.domain.pipelines_raw import json_schema
from service.templates import starter

HEAD = """\
[defaults]
model = "m"
[[pipelines]]
name = "calls"
match = ["**/*"]
"""
PROMPT = """\
[[pipelines.prompts]]
name = "summary"
prompt = "{{ transcript }}"
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "pipelines.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def loaded(folder: Path, text: str) -> Loaded:
    return load(written(folder, text))


def refused(folder: Path, text: str | bytes) -> list[Problem]:
    with pytest.raises(Refused) as caught:
        load(written(folder, text))
    assert caught.value.__cause__ is None
    return list(caught.value.problems)


P = "pipelines[calls].prompts[summary]"

BROKEN: list[tuple[str, str, str]] = [
    # The file
    ("", "1", r"no pipeline; write one below `\[\[pipelines\]\]`"),
    ("pipelines = []", "1", "no pipeline; write one below"),
    ("[defaults]\nmodel = \n", "2", "not TOML: .*; mend it there"),
    ("[defaults\n", "1", "not TOML: .*; mend it there"),
    ('a = "', "1", "not TOML: .*; mend it there"),
    ("a = " + "[" * 5000, "", "nested too deeply; mend it"),
    ("x = 1" + "0" * 5000, "1", "not TOML: .*; mend it there"),
    ("pipelines = 3", "1 pipelines", "`pipelines` must be a list .*; write it like `\\[\\[pipelines\\]\\]`"),
    ("pipelines = [3]", "1 pipelines[#1]", "entry of `pipelines` must be a table; write it like"),
    # Keys and kinds
    (f"{HEAD}{PROMPT}temprature = 1", f"9 {P}.temprature", "no key `temprature` here; did you mean `temperature`"),
    (f"{HEAD}modle = 1", "6 pipelines[calls].modle", "no key `modle` here; take it out"),
    (f"{HEAD}max_tokens = 1", "6 pipelines[calls].max_tokens", "no key .*; it belongs below `\\[\\[pipelines.prompts"),
    (f"name = 'x'\n{HEAD}", "1 name", "no key `name` here; it belongs below `\\[\\[pipelines\\]\\]`"),
    (f"{HEAD}{PROMPT}stream = true", f"9 {P}.stream", "no key .*; take it out: the service sees to"),
    (f"{HEAD}{PROMPT}max_tokens = 0", f"9 {P}.max_tokens", "at least 1; write it like `max_tokens = 1000`"),
    (f"{HEAD}{PROMPT}max_tokens = 1.5", f"9 {P}.max_tokens", "whole number; write it like"),
    (f"{HEAD}{PROMPT}max_tokens = '9'", f"9 {P}.max_tokens", "whole number; write it like"),
    (f"{HEAD}{PROMPT}temperature = 3", f"9 {P}.temperature", "at most 2; write it like"),
    (f"{HEAD}{PROMPT}temperature = nan", f"9 {P}.temperature", "; write it like"),
    (f"{HEAD}{PROMPT}required = 1", f"9 {P}.required", "true or false; write it like `required = false`"),
    (f"{HEAD}{PROMPT}model = ''", f"9 {P}.model", "`model` is empty; write it like `model = "),
    (f"{HEAD}{PROMPT}reasoning = 1979-05-27", f"9 {P}.reasoning", "must be a table; take it out, or write"),
    (f"{HEAD}{PROMPT}reasoning = {{ at = 1979-05-27 }}", f"9 {P}.reasoning.at", "cannot be sent as JSON; take"),
    (
        f"{HEAD}{PROMPT}reasoning = {{ a = 99999999999999999999 }}",
        f"9 {P}.reasoning",
        "JSON cannot carry; write a smaller",
    ),
    (
        f"{HEAD}{PROMPT}cache_control = {{ a = [inf] }}",
        f"9 {P}.cache_control.a",
        "finite number; take it out, or write what AssemblyAI",
    ),
    (f"{HEAD}{PROMPT}fallbacks = [3]", f"9 {P}.fallbacks[#1]", "a model's name or a table; write it like"),
    (f"{HEAD}{PROMPT}fallbacks = 'm'", f"9 {P}.fallbacks", "must be a list .*; write it like `fallbacks = "),
    (f"{HEAD}{PROMPT}fallbacks = [{{ max_tokens = 1 }}]", f"9 {P}.fallbacks", "names no model; write it like"),
    (f"{HEAD}{PROMPT}fallbacks = ['']", f"9 {P}.fallbacks[#1]", "is empty; write it like"),
    (
        f"{HEAD}{PROMPT}fallbacks = [{{ model = 'n', messages = [] }}]",
        f"9 {P}.fallbacks[#1].messages",
        "no key .*; take it out: a fallback is asked the prompt's own messages",
    ),
    (f"{HEAD}{PROMPT}fallback_config = {{ depth = 3 }}", f"9 {P}.fallback_config.depth", "at most 2; .*depth = 2"),
    # Pipelines
    ("[[pipelines]]\nmatch = []", "1 pipelines[#1]", "has no name; write `name = "),
    ("[[pipelines]]\nname = 'calls'", "1 pipelines[calls]", "which recordings it takes; write `match = "),
    ("[[pipelines]]\nname = 'Calls!'\nmatch = []", "2 pipelines[Calls!].name", "is no name; write it like"),
    (f"[[pipelines]]\nname = '{'x' * 65}'\nmatch = []", f"2 pipelines[{'x' * 64}].name", "is no name; write it like"),
    (
        f"{HEAD}[[pipelines]]\nname = 'calls'\nmatch = []",
        "7 pipelines[calls].name",
        "already; give one of them another",
    ),
    ("[[pipelines]]\nname = 'a'\nmatch = '*'", "3 pipelines[a].match", "must be a list .*; write it like `match = "),
    ("[[pipelines]]\nname = 'a'\nmatch = [\n'*',\n'[x',\n]", "5 pipelines[a].match", "`\\[x`, .*never closed.*; close"),
    ("[[pipelines]]\nname = 'a'\nmatch = ['**.mp3']", "3 pipelines[a].match", "stands beside .*; give it a segment"),
    # Transcript and outputs
    (
        f"{HEAD}[pipelines.transcript]\nwebhook_url = ''",
        "7 pipelines[calls].transcript.webhook_url",
        "set by the .*; take",
    ),
    (f"{HEAD}transcript = {{ audio_url = 'x' }}", "6 pipelines[calls].transcript.audio_url", "set by the service"),
    (f"[defaults.transcript]\nwebhook_auth_header_name = 'x'\n{HEAD[11:]}", "2 defaults.transcript", "set by the"),
    (
        f"{HEAD}transcript = {{ x = nan }}",
        "6 pipelines[calls].transcript.x",
        "finite number; take it out, or write what AssemblyAI",
    ),
    (
        f"{HEAD}[pipelines.outputs]\ncaptions = ['ass']",
        "7 pipelines[calls].outputs.captions[#1]",
        "'srt' or 'vtt'; write",
    ),
    (
        f"{HEAD}[pipelines.outputs]\nkeep_transcript = 'no'",
        "7 pipelines[calls].outputs.keep_transcript",
        "true or false",
    ),
    # Prompts
    (f"{HEAD}[[pipelines.prompts]]\nprompt = '{{{{transcript}}}}'", "6 pipelines[calls].prompts[#1]", "no name; write"),
    (f"{HEAD}{PROMPT}{PROMPT}", f"10 {P}.name", "there is a prompt `summary` .*; give one of them another"),
    (f"{HEAD[22:]}{PROMPT}", f"5 {P}", "no model; write `model = "),
    (f"{HEAD}[[pipelines.prompts]]\nname = 'summary'", f"6 {P}", "what to ask; write `prompt`, `prompt_file` or"),
    (f"{HEAD}{PROMPT}prompt_file = 'x.md'", f"9 {P}.prompt_file", "`prompt` and `prompt_file` both .*; keep one"),
    (f"{HEAD}{PROMPT}messages = []", f"9 {P}.messages", "`prompt` and `messages` both .*; keep one"),
    (f"{HEAD}{PROMPT}schema = 'x.json'", f"9 {P}.schema", "this version does not have; take it out"),
]

PROMPTS: list[tuple[str, str, str]] = [
    ("prompt = ''", f"8 {P}.prompt", "text is empty; write what to ask"),
    ('prompt = " \\n"', f"8 {P}.prompt", "text is empty; write what to ask"),
    ("prompt = 'Hello'", f"6 {P}", "neither the transcript nor another answer; put `{{ transcript }}`"),
    ("prompt = '{{ source.key }}'", f"6 {P}", "neither the transcript nor another answer; put"),
    ('prompt = """\nA\n{{ transcrip }}"""', f"10 {P}.prompt", "no variable `transcrip`; did you mean `transcript`"),
    ("prompt = '{{ transcript | upper }}'", f"8 {P}.prompt", "filter, .*; leave out"),
    ("prompt = '{{ f(transcript) }}'", f"8 {P}.prompt", "call, .*; write one of"),
    ("prompt = '{% for x in y %}{{ transcript }}'", f"8 {P}.prompt", "statement, .*; take it out"),
    ("prompt = '{{ transcript'", f"8 {P}.prompt", "never closed; close it"),
    ("prompt = '{{ answers.other }}'", f"8 {P}.prompt", "no prompt `other` to take an answer from; name a prompt"),
    ("prompt = '{{ answers.sumary }}'", f"8 {P}.prompt", "no prompt `sumary` .*; did you mean `answers.summary`"),
    ("prompt = '{{ answers.summary }}'", f"6 {P}", "wait for each other: summary → summary; let one"),
    ("prompt = '{{ answers.summary.mood }}'", f"8 {P}.prompt", "no structured answers; use the whole answer"),
    ("prompt = '{{ transcript }} {{transcript}}'", f"8 {P}.prompt", "more than once, .*; keep one"),
    ("prompt = '{{ utterances }}'", f"8 {P}.prompt", "speakers or channels; set `speaker_labels = true`"),
    ("prompt_file = '../x.md'", f"8 {P}.prompt_file", "outside the folder .*; move it beside"),
    ("prompt_file = '/etc/hostname'", f"8 {P}.prompt_file", "outside the folder .*; move it beside"),
    ("prompt_file = 'none.md'", f"8 {P}.prompt_file", "`none.md`: there is no such file; name a UTF-8 text file"),
    ('prompt_file = "a\\u0000b"', f"8 {P}.prompt_file", "outside the folder"),
    ("prompt_file = '.'", f"8 {P}.prompt_file", "cannot be read .*; name a UTF-8"),
    ("prompt_file = 'latin.md'", f"8 {P}.prompt_file", "byte 2 is not UTF-8; name a UTF-8"),
    ("prompt_file = 'wrong.md'", f"8 {P}.prompt_file", "`transcrip` in wrong.md, line 2; did you mean"),
    ("messages = []", f"8 {P}.messages", "`messages` is empty; write"),
    ("messages = [{ content = '{{ transcript }}' }]", f"8 {P}.messages[#1]", "has no `role`; write it like"),
    ("messages = [{ role = 'user' }]", f"8 {P}.messages[#1]", "has no `content`; write it like"),
    ("messages = [{ role = 'tool', content = 'x' }]", f"8 {P}.messages[#1].role", "'user' or 'assistant'; .*role = "),
    (
        "messages = [{ role = 'user', content = '{{ transcript }}' }, { role = 'assistant' }]",
        f"8 {P}.messages[#2]",
        "asks in between, .*; give it content",
    ),
    (
        "messages = [\n{ role = 'user', content = '{{ transcript }}' },\n{ role = 'user', content = '{{ x }}' },\n]",
        f"10 {P}.messages[#2]",
        "no variable `x`; write one of",
    ),
    (
        "messages = [{ role = 'user', content = '{{transcript}}' }, { role = 'user', content = '{{ transcript }}' }]",
        f"8 {P}.messages[#2]",
        "more than once",
    ),
]

ATTRIBUTES: list[tuple[str, str]] = [
    ("\n".join(f"a{n} = 'source.key'" for n in range(8)), "there are 8 attributes, .* at most 7 .*; take out"),
    ("type = 'source.key'", "every event has; choose another name"),
    ("outcome = 'source.key'", "every event has; choose another name"),
    ("'a b' = 'source.key'", "no name of an attribute; use letters"),
    ("'AWS.x' = 'source.key'", "no name of an attribute; use letters"),
    ("a = 'answers.mood'", "points at no answer .*; name a prompt"),
    ("a = 'answers.sumary'", "points at no answer .*; did you mean `answers.summary`"),
    ("a = 'answers.summary.mood'", "no structured answers; point at the whole"),
    ("a = 'transcript.langage'", "nothing that is known; did you mean `transcript.language`"),
    ("a = 'x'", "nothing that is known; write one of"),
    ("a = 1", "must be text in quotes; write it like `sentiment = "),
]


def one_problem(folder: Path, text: str, place: str, words: str) -> None:
    [problem] = refused(folder, text)
    assert problem.place.startswith(f"pipelines.toml:{place}".rstrip(":")), problem
    assert re.search(words, f"{problem.what}; {problem.cure}"), problem
    assert "\n" not in str(problem)


@pytest.mark.parametrize(("text", "place", "words"), BROKEN, ids=lambda value: value[-40:])
def test_a_broken_file_is_one_problem_with_its_line_and_cure(tmp_path: Path, text: str, place: str, words: str) -> None:
    one_problem(tmp_path, text, place, words)


@pytest.mark.parametrize(("line", "place", "words"), PROMPTS, ids=lambda value: value[:40])
def test_a_broken_prompt_is_one_problem_with_its_line_and_cure(
    tmp_path: Path, line: str, place: str, words: str
) -> None:
    (tmp_path / "latin.md").write_bytes(b"a\xff")
    (tmp_path / "wrong.md").write_text("A\n{{ transcrip }}")
    one_problem(tmp_path, f"{HEAD}[[pipelines.prompts]]\nname = 'summary'\n{line}\n", place, words)


@pytest.mark.parametrize(("lines", "words"), ATTRIBUTES, ids=lambda value: value[:40])
def test_a_broken_attribute_is_one_problem_with_its_line_and_cure(tmp_path: Path, lines: str, words: str) -> None:
    line = 9 if lines.startswith("a0") else 10
    place = f"{line} pipelines[calls].attributes"
    one_problem(tmp_path, f"{HEAD}{PROMPT}[pipelines.attributes]\n{lines}\n", place, words)


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


def test_what_is_only_doubtful_is_a_warning(tmp_path: Path) -> None:
    text = f"[defaults.transcript]\nfilter_profanty = true\n{HEAD}combine = true\ntranscript.zzzzzzzzz = 1\n"
    warnings = loaded(tmp_path, text).warnings
    assert [each.place for each in warnings] == [
        "pipelines.toml:2 defaults.transcript.filter_profanty",
        "pipelines.toml:8 pipelines[calls].combine",
        "pipelines.toml:9 pipelines[calls].transcript.zzzzzzzzz",
    ]
    assert "did you mean `filter_profanity`?" in warnings[0].cure
    assert "asked alone" in warnings[1].what
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


def test_the_file_to_start_from_loads_without_a_word(tmp_path: Path) -> None:
    found = loaded(tmp_path, starter.pipelines())
    assert found.warnings == ()
    assert [each.name for each in found.pipelines.pipelines] == ["calls", "recordings"]


def test_the_json_schema_takes_the_file_to_start_from_and_refuses_what_load_refuses() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    document = tomllib.loads(starter.pipelines())
    assert validator.is_valid(document)
    refused_too: list[dict[str, Any]] = [
        {**document, "modle": 1},
        {"defaults": {}},
        {"pipelines": [{"name": "a"}]},
        {"pipelines": [{"name": "a", "match": [], "prompts": [{"name": "a", "max_tokens": 0}]}]},
        {"pipelines": [{"name": "a", "match": [], "prompts": [{"name": "a", "fallbacks": [{"top_p": 1}]}]}]},
    ]
    for broken in refused_too:
        assert not validator.is_valid(broken), broken


VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-3, 2**70),
        st.sampled_from([0.5, 1e300]),
        st.text("{}ab. %|[*", max_size=8),
        st.sampled_from(["{{ transcript }}", "{{ answers.summary }}", "{{ utterances }}", "user", "answers.summary"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["name", "model", "role", "content", "prompt", "match", "x"]), inner, max_size=3
        ),
    ),
    max_leaves=5,
)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_no_file_does_worse_than_being_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    document = copy.deepcopy(tomllib.loads(starter.pipelines()))
    for _ in range(data.draw(st.integers(1, 4))):
        at: Any = document
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(at[key], (dict, list)) and data.draw(st.integers(0, 3)):
                at = at[key]
                continue
            at[key] = data.draw(VALUES)
            break
    text = "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in document.items())
    path = written(tmp_path_factory.mktemp("any"), text)
    problems: tuple[Problem, ...] = ()
    try:
        load(path)
    except Refused as error:
        problems = error.problems
    assert all(re.match(r"pipelines.toml:\d+", problem.place) and problem.cure for problem in problems)
