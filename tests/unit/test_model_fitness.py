"""What the live catalogue says against the pipelines file: each finding with its place and a model that would do."""

from pathlib import Path

import pytest

from service.domain.models.catalogue import Model
from service.domain.models.fitness import Findings, fitness
from service.domain.pipeline import Message, Pipeline, Pipelines, Prompt
from service.domain.pipelines.whereabouts import Whereabouts
from tests.unit.pipelines_samples import loaded

NOW = 1_795_000_000.0  # 2026-11-18T11:06:40Z
DAY = 86_400.0
SAMPLING = ("max_tokens", "temperature", "top_p")


def model(name: str, *parameters: str, context: int = 200_000, retires_in: float | None = None) -> Model:
    retires_at = None if retires_in is None else NOW + retires_in * DAY
    takes = frozenset(parameters) or None
    return Model(id=name, context=context, most_output=32_000, parameters=takes, retires_at=retires_at)


OFFERED = {
    each.id: each
    for each in (
        model("claude-haiku-4-5-20251001", *SAMPLING, "response_format", "reasoning"),
        model("claude-sonnet-4-5-20250929", *SAMPLING, "response_format", "reasoning"),
        model("claude-sonnet-4-6", *SAMPLING, "response_format", "reasoning"),
        model("claude-sonnet-5", "max_tokens", "reasoning", context=1_000_000),
        model("gpt-4.1", *SAMPLING, context=1_000_000),
        model("gpt-5", "max_tokens", "response_format", "reasoning", context=400_000),
        model("gpt-old", *SAMPLING, retires_in=-3),
        model("gemini-2.5-flash", *SAMPLING, "response_format", context=1_000_000),
        model("gemini-2.5-pro", *SAMPLING, "response_format", context=1_000_000, retires_in=20),
        model("gemini-2.5-ultra", *SAMPLING, "response_format", context=1_000_000, retires_in=40),
        model("qwen3-next-80b-a3b", *SAMPLING, "response_format", context=128_000),
        model("qwen3.5-4b-32k-fast", *SAMPLING, context=32_000),
        Model(id="untold"),
    )
}
FILE = """\
[defaults]
{defaults}

[[pipelines]]
name = "calls"
match = ["**/*"]

[[pipelines.prompts]]
name = "summary"
prompt = "{{{{ transcript }}}}"
{prompt}
"""
OWN = "pipelines.toml:11 pipelines[calls].prompts[summary]"
MOOD = "{ type = 'object', properties = { mood = { type = 'string' } } }"
SONNET = 'model = "claude-sonnet-4-6"'
GOOD = f"response_format = {{ type = 'json_schema', json_schema = {{ name = 'mood', schema = {MOOD} }} }}"
ASKED = " (asked by pipelines[calls].prompts[summary])"
NEAR = "the nearest that would do"


def found(folder: Path, text: str) -> Findings:
    read = loaded(folder, text)
    return fitness(read.pipelines, read.whereabouts, OFFERED, NOW)


def said(folder: Path, *, defaults: str = "", prompt: str = "") -> tuple[list[str], list[str]]:
    told = found(folder, FILE.format(defaults=defaults, prompt=prompt))
    return [str(each) for each in told.problems], [str(each) for each in told.warnings]


@pytest.mark.parametrize(
    ("defaults", "prompt", "problem"),
    [
        (
            "",
            'model = "claude-sonet-4-6"',
            f"{OWN}.model: the LLM Gateway offers no model `claude-sonet-4-6`; use `claude-sonnet-4-6`, {NEAR}",
        ),
        (
            'model = "anthropic/claude-sonnet-4-6"',
            "",
            (
                "pipelines.toml:2 defaults.model: the LLM Gateway offers no model `anthropic/claude-sonnet-4-6`"
                f"{ASKED}; use `claude-sonnet-4-6`, {NEAR}"
            ),
        ),
        (
            "",
            'model = "claude-haiku-4-5"',
            f"{OWN}.model: the LLM Gateway offers no model `claude-haiku-4-5`; use `claude-haiku-4-5-20251001`, {NEAR}",
        ),
        (
            'model = "claude-sonnet-5-1"',
            "temperature = 0.0",
            (
                "pipelines.toml:2 defaults.model: the LLM Gateway offers no model `claude-sonnet-5-1`"
                f"{ASKED}; use `claude-sonnet-4-6`, {NEAR}"
            ),
        ),
        (
            "",
            'model = "gemini-2.5-prro"',
            f"{OWN}.model: the LLM Gateway offers no model `gemini-2.5-prro`; use `gemini-2.5-ultra`, {NEAR}",
        ),
        (
            'model = "claude-sonnet-5"',
            GOOD,
            (
                f"{OWN}.response_format: `claude-sonnet-5` takes no `response_format`, so it gives no"
                f" structured answers; use `claude-sonnet-4-6`, {NEAR}"
            ),
        ),
        (
            'model = "claude-sonnet-5"',
            f"schema = {MOOD}",
            (
                f"{OWN}.schema: `claude-sonnet-5` takes no `response_format`, so it gives no"
                f" structured answers; use `claude-sonnet-4-6`, {NEAR}"
            ),
        ),
        (
            'model = "claude-sonnet-5"',
            "temperature = 0.0",
            (
                f"{OWN}.temperature: `claude-sonnet-5` takes no `temperature`;"
                f" take it out, or use `claude-sonnet-4-6`, {NEAR}"
            ),
        ),
        (
            "temperature = 0.0",
            'model = "gpt-5"',
            f"{OWN}.model: `gpt-5` takes no `temperature`; take it out, or use `gpt-4.1`, {NEAR}",
        ),
        (
            f"temperature = 0.0\n{GOOD}",
            'model = "gpt-5"',
            (
                "pipelines.toml:12 pipelines[calls].prompts[summary].model: `gpt-5` takes no `temperature`;"
                f" take it out, or use `gemini-2.5-flash`, {NEAR}"
            ),
        ),
        (
            SONNET,
            f'top_p = 0.5\n{GOOD}\nreasoning = {{ effort = "low" }}\nfallbacks = ["gpt-5"]',
            (
                "pipelines.toml:14 pipelines[calls].prompts[summary].fallbacks[#1]: `gpt-5` takes no `top_p`;"
                f" take it out, or use `claude-sonnet-4-5-20250929`, {NEAR}"
            ),
        ),
        (
            SONNET,
            'fallbacks = ["gemini-2.5-flash", { model = "gemini-3", temperature = 0.1 }]',
            f"{OWN}.fallbacks[#2].model: the LLM Gateway offers no model `gemini-3`; use `gemini-2.5-ultra`, {NEAR}",
        ),
        (
            f'{SONNET}\nfallbacks = [\n  "gemini-2.5-flash",\n  "gpt-6",\n]',
            "",
            (
                "pipelines.toml:5 defaults.fallbacks[#2]: the LLM Gateway offers no model `gpt-6`"
                f"{ASKED}; use `gpt-5`, {NEAR}"
            ),
        ),
        (
            SONNET,
            'fallbacks = [{ model = "claude-sonnet-5", temperature = 0.1 }]',
            (
                f"{OWN}.fallbacks[#1].temperature: `claude-sonnet-5` takes no `temperature`;"
                f" take it out, or use `claude-sonnet-4-5-20250929`, {NEAR}"
            ),
        ),
        (
            'model = "gpt-old"',
            "",
            f"pipelines.toml:2 defaults.model: `gpt-old` was to retire on 2026-11-15{ASKED}; use `gpt-5`, {NEAR}",
        ),
        (
            'model = "qwen3.5-4b-32k-fast"\nfallbacks = ["gpt-4.1"]',
            "max_tokens = 32000",
            (
                "pipelines.toml:12 pipelines[calls].prompts[summary].max_tokens: an answer of up to 32,000 tokens"
                " (`max_tokens`) leaves no room in the 32,000 of `qwen3.5-4b-32k-fast`;"
                f" lower `max_tokens`, or use `qwen3-next-80b-a3b`, {NEAR}"
            ),
        ),
        (
            SONNET,
            "max_tokens = 32001",
            (
                f"{OWN}.max_tokens: `max_tokens` is 32,001, above the 32,000 tokens that an answer may have from"
                " `claude-sonnet-4-6`; lower `max_tokens`"
            ),
        ),
    ],
)
def test_what_will_be_refused_is_a_problem(tmp_path: Path, defaults: str, prompt: str, problem: str) -> None:
    problems, warnings = said(tmp_path, defaults=defaults, prompt=prompt)
    assert (problems, warnings) == ([problem], [])


@pytest.mark.parametrize(
    ("defaults", "prompt", "warning"),
    [
        (
            'model = "gemini-2.5-pro"',
            "",
            (
                "pipelines.toml:2 defaults.model: `gemini-2.5-pro` retires on 2026-12-08"
                f"{ASKED}; use `gemini-2.5-ultra`, {NEAR}"
            ),
        ),
        (
            SONNET,
            'fallbacks = ["gemini-2.5-pro"]',
            f"{OWN}.fallbacks[#1]: `gemini-2.5-pro` retires on 2026-12-08; use `gemini-2.5-ultra`, {NEAR}",
        ),
        (
            SONNET,
            "top_k = 5",
            (
                f"{OWN}.top_k: `claude-sonnet-4-6` takes no `top_k`;"
                " take it out if answers are refused: the catalogue knows no model that takes it"
            ),
        ),
        (
            "",
            'model = "qwen3.5-4b-32k-fast"',
            (
                f"{OWN}.model: ten hours of speech, about 120,000 tokens, do not fit into the 32,000 of"
                " `qwen3.5-4b-32k-fast`; if recordings may be that long, add the fallback `qwen3-next-80b-a3b`,"
                f" {NEAR}"
            ),
        ),
        (
            "max_tokens = 10_000",
            'model = "qwen3-next-80b-a3b"\nfallbacks = ["qwen3.5-4b-32k-fast"]',
            (
                f"{OWN}.model: ten hours of speech, about 120,000 tokens, do not fit into the 128,000 of"
                f" `qwen3-next-80b-a3b`; if recordings may be that long, add the fallback `claude-sonnet-4-6`, {NEAR}"
            ),
        ),
    ],
)
def test_what_may_be_meant_is_a_warning(tmp_path: Path, defaults: str, prompt: str, warning: str) -> None:
    problems, warnings = said(tmp_path, defaults=defaults, prompt=prompt)
    assert (problems, warnings) == ([], [warning])


@pytest.mark.parametrize(
    ("defaults", "prompt"),
    [
        (SONNET, ""),
        (f'{SONNET}\nfallbacks = ["gemini-2.5-flash"]', f"temperature = 0.0\nmax_tokens = 32000\n{GOOD}"),
        ('model = "gemini-2.5-ultra"', ""),
        ('model = "untold"', f"top_p = 0.1\nmax_tokens = 500000\n{GOOD}"),
        (SONNET, 'cache_control = { type = "ephemeral" }\npost_processing_steps = [{ type = "json-repair" }]'),
        ('model = "qwen3.5-4b-32k-fast"', 'fallbacks = ["qwen3-next-80b-a3b"]'),
        ('model = "claude-sonnet-4-6"\nfallbacks = ["gpt-nonsense"]', "fallbacks = []"),
    ],
)
def test_what_is_fit_is_not_spoken_of(tmp_path: Path, defaults: str, prompt: str) -> None:
    assert said(tmp_path, defaults=defaults, prompt=prompt) == ([], [])


def test_what_many_inherit_is_told_once_with_a_model_that_would_do_for_all_of_them(tmp_path: Path) -> None:
    prompts = "".join(
        f'[[pipelines.prompts]]\nname = "{name}"\nprompt = "{{{{ transcript }}}}"\n{more}\n'
        for name, more in (("a", ""), ("b", GOOD), ("c", "temperature = 1"), ("d", ""), ("e", SONNET), ("f", ""))
    )
    told = found(tmp_path, f'[defaults]\nmodel = "gpt-5.3"\n[[pipelines]]\nname = "p"\nmatch = []\n{prompts}')
    named = ", ".join(f"pipelines[p].prompts[{name}]" for name in "abc")
    assert [str(each) for each in told.problems] == [
        f"pipelines.toml:2 defaults.model: the LLM Gateway offers no model `gpt-5.3` (asked by {named} and 2 more);"
        f" use `claude-sonnet-4-6`, {NEAR}".replace("claude-sonnet-4-6", "gemini-2.5-flash")
    ]


def test_a_prompt_that_does_not_grow_with_the_recording_fits_anywhere(tmp_path: Path) -> None:
    text = FILE.format(defaults=SONNET, prompt="") + (
        '[[pipelines.prompts]]\nname = "title"\nmodel = "qwen3.5-4b-32k-fast"\nprompt = "{{ answers.summary }}"\n'
    )
    assert found(tmp_path, text) == Findings()


def test_findings_stand_in_the_order_of_the_file(tmp_path: Path) -> None:
    problems, _ = said(tmp_path, defaults='fallbacks = ["gone"]', prompt='temperature = 0\nmodel = "gpt-5"')
    assert [each.partition(" ")[0] for each in problems] == ["pipelines.toml:2", "pipelines.toml:11"]


def test_pipelines_that_were_not_read_from_a_file_are_judged_all_the_same() -> None:
    request = {"model": "claude-sonnet-5", "top_p": 1.0, "fallbacks": [{"model": "gone"}]}
    prompt = Prompt(name="summary", messages=(Message(role="user", content="Hello"),), request=request)
    pipeline = Pipeline(name="calls", match=(), transcript={}, prompts=(prompt,))
    told = fitness(Pipelines(pipelines=(pipeline,)), Whereabouts(), OFFERED, NOW)
    assert [each.place for each in told.problems] == [
        "pipelines[calls].prompts[summary].top_p",
        "pipelines[calls].prompts[summary].fallbacks[#1]",
    ]
