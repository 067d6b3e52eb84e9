"""Each broken pipelines file is one problem with its line and its cure; prompts have a table of their own."""

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
    (
        f"[defaults]\nschema = 'x.json'\n{HEAD[11:]}",
        "2 defaults.schema",
        "no key .*; it belongs below `\\[\\[pipelines.prompts",
    ),
    ("pipelines = 3", "1 pipelines", "`pipelines` must be a list .*; write it like `\\[\\[pipelines\\]\\]`"),
    ("pipelines = [3]", "1 pipelines[#1]", "entry of `pipelines` must be a table; write it like"),
    # Keys and kinds
    (f"{HEAD}modle = 1", "6 pipelines[calls].modle", "no key `modle` here; take it out"),
    (f"{HEAD}max_tokens = 1", "6 pipelines[calls].max_tokens", "no key .*; it belongs below `\\[\\[pipelines.prompts"),
    (f"name = 'x'\n{HEAD}", "1 name", "no key `name` here; it belongs below `\\[\\[pipelines\\]\\]`"),
    (f"{HEAD}{PROMPT}max_tokens = 1.5", f"9 {P}.max_tokens", "whole number; write it like"),
    (f"{HEAD}{PROMPT}max_tokens = '9'", f"9 {P}.max_tokens", "whole number; write it like"),
    (f"{HEAD}{PROMPT}temperature = nan", f"9 {P}.temperature", "; write it like"),
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
    (f"{HEAD}{PROMPT}fallbacks = ['']", f"9 {P}.fallbacks[#1]", "is empty; write it like"),
    (
        f"{HEAD}{PROMPT}fallbacks = [{{ model = 'n', messages = [] }}]",
        f"9 {P}.fallbacks[#1].messages",
        "no key .*; take it out: a fallback is asked the prompt's own messages",
    ),
    (f"{HEAD}{PROMPT}fallback_config = {{ depth = 3 }}", f"9 {P}.fallback_config.depth", "at most 2; .*depth = 2"),
    # The monthly limit
    (
        f"{HEAD}monthly_limit = 50",
        "6 pipelines[calls].monthly_limit",
        "must be a table; write it like `monthly_limit =",
    ),
    (
        f"{HEAD}monthly_limit = {{}}",
        "6 pipelines[calls].monthly_limit",
        "names nothing; write it like `monthly_limit =",
    ),
    (
        f"{HEAD}monthly_limit.dollars = 0",
        "6 pipelines[calls].monthly_limit.dollars",
        "above 0; write it like `dollars =",
    ),
    (f"{HEAD}monthly_limit.requests = 1.5", "6 pipelines[calls].monthly_limit.requests", "whole number; write it like"),
    (f"{HEAD}monthly_limit.hours = 5", "6 pipelines[calls].monthly_limit.hours", "no key `hours` here; "),
    # Speech
    (f"{HEAD}speech.timestamp = true", "6 pipelines[calls].speech.timestamp", "no key .*; did you mean `timestamps`"),
    (
        f"{HEAD}speech.timestamps = 'yes'",
        "6 pipelines[calls].speech.timestamps",
        "true or false; write it like `timest",
    ),
    (
        f"{HEAD}speech.speakers = ['A']",
        "6 pipelines[calls].speech.speakers",
        "must be a table; write it like `speakers =",
    ),
    (f"{HEAD}speech.speakers.A = ''", "6 pipelines[calls].speech.speakers.A", "speaker `A` has no name; write it like"),
    (f"{HEAD}speech.speakers.A = 1", "6 pipelines[calls].speech.speakers.A", "must be text in quotes"),
    (f"{HEAD}speech.speakers.'' = 'x'", "6 pipelines[calls].speech.speakers", "a speaker has no label; write it like"),
    (f'{HEAD}speech.speakers.A = "x\\ny"', "6 pipelines[calls].speech.speakers.A", "no line of at most 100 characters"),
    (f"{HEAD}speech.speakers.A = '{'x' * 101}'", "6 pipelines[calls].speech.speakers.A", "no line of at most 100"),
    (f"{HEAD}speech.fallback_language = ''", "6 pipelines[calls].speech.fallback_language", "is empty; write it like"),
    (f"[defaults.speech]\nspeakers.A = ' '\n{HEAD}", "2 defaults.speech.speakers.A", "has no name; write it like"),
    (f"{HEAD}fallback_language = 'en'", "6 pipelines[calls].fallback_language", "no key .*; take it out|belongs below"),
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


@pytest.mark.parametrize(("lines", "words"), ATTRIBUTES, ids=lambda value: value[:40])
def test_a_broken_attribute_is_one_problem_with_its_line_and_cure(tmp_path: Path, lines: str, words: str) -> None:
    line = 9 if lines.startswith("a0") else 10
    place = f"{line} pipelines[calls].attributes"
    one_problem(tmp_path, f"{HEAD}{PROMPT}[pipelines.attributes]\n{lines}\n", place, words)
