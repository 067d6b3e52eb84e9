"""Each broken pipelines file is one problem with its line and its cure."""

import re
from pathlib import Path

import pytest

from tests.unit.pipelines_samples import HEAD, PROMPT, refused

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
        "messages = [{ role = 'assistant' }, { role = 'user', content = '{{ transcript }}' }]",
        f"8 {P}.messages[#1]",
        "is asked here, and no user message leads up to it; put a",
    ),
    (
        "messages = [{ role = 'system', content = '{{ transcript }}' }, { role = 'assistant' }]",
        f"8 {P}.messages[#2]",
        "is asked here, and no user message leads up to it; put a",
    ),
    (
        "messages = [{ role = 'user', content = '{{ transcript }}' }, { role = 'assistant' }, { role = 'assistant' }]",
        f"8 {P}.messages[#3]",
        "is asked here, and no user message leads up to it; put a",
    ),
    (
        "messages = [{role='user', content='{{ transcript }}'}, {role='assistant'}, {role='system', content='x'}]",
        f"8 {P}.messages[#3]",
        "asked once more at the end, .*; end with a",
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
    ("pipeline = 'source.key'", "every event has; choose another name"),
    ("'' = 'source.key'", "no name of an attribute; use letters"),
    ("'.x' = 'source.key'", "no name of an attribute; use letters"),
    ("'x.' = 'source.key'", "no name of an attribute; use letters"),
    ("'a..b' = 'source.key'", "no name of an attribute; use letters"),
    ("'ä' = 'source.key'", "no name of an attribute; use letters"),
    ("'AWS.x' = 'source.key'", "`AWS.x` begins as AWS's own names do; leave out the first part"),
    ("'aMaZoN.x' = 'source.key'", "begins as AWS's own names do; leave out the first part"),
    (f"{'x' * 257} = 'source.key'", "is longer than 256 characters; choose a shorter"),
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
