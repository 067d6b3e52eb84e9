"""What is new about a recording that was asked before: what has no answer of the same digest, and all behind it."""

from collections.abc import Mapping

import pytest

from service.domain.asking.answers import Answer
from service.domain.asking.completion import Usage
from service.domain.errors import Code, Permanent
from service.domain.pipeline import Message, Pipeline, Prompt
from service.domain.reanalysis import compared, input_tokens, requests, sharing


def pipeline(**asked: str) -> Pipeline:
    prompts = tuple(
        Prompt(name=name, messages=(Message(role="user", content=content),), request={"model": "m"})
        for name, content in asked.items()
    )
    return Pipeline(name="calls", match=("**",), transcript={}, prompts=prompts)


def answer(prompt: str, digest: str, content: str = "Yes.") -> Answer:
    return Answer(
        prompt=prompt,
        digest=digest,
        content=content,
        model="m",
        usage=Usage(),
        finish_reason="stop",
        request_id=None,
        answered_at="2026-01-01T00:00:00Z",
    )


def digest_of(prompt: Prompt, used: Mapping[str, Answer]) -> str:
    if "{{ utterances }}" in str(prompt.messages[0].content):
        raise Permanent(Code.PROMPT_FAILED, "there are no utterances")
    return " + ".join([str(prompt.messages[0].content), *(used[name].digest for name in sorted(used))])


CHAIN = {"a": "First.", "b": "Of {{ answers.a }}?", "c": "Of {{ answers.b }}?", "d": "Alone."}
PAST = {
    "a": [answer("a", "First.")],
    "b": [answer("b", "Of {{ answers.a }}? + First.")],
    "c": [answer("c", "Of {{ answers.b }}? + Of {{ answers.a }}? + First.")],
    "d": [answer("d", "Alone.")],
}


@pytest.mark.parametrize(
    ("changed", "new"),
    [
        ({}, []),
        ({"a": "Otherwise."}, ["a", "b", "c"]),
        ({"b": "What of {{ answers.a }}?"}, ["b", "c"]),
        ({"d": "Together."}, ["d"]),
        ({"e": "One more."}, ["e"]),
        ({"d": "After {{ answers.a }}."}, ["d"]),
        ({"d": "Of {{ utterances }}?"}, []),
    ],
)
def test_what_changed_is_new_and_so_is_what_uses_it(changed: dict[str, str], new: list[str]) -> None:
    found = compared(pipeline(**{**CHAIN, **changed}), PAST, digest_of)
    assert [prompt.name for prompt in found.new] == new


def test_an_answer_of_any_earlier_run_is_used_again() -> None:
    past = {**PAST, "d": [answer("d", "Together."), answer("d", "Alone.")]}
    assert compared(pipeline(**CHAIN), past, digest_of).new == ()


def test_what_cannot_be_asked_is_told_with_what_uses_it() -> None:
    found = compared(pipeline(**{**CHAIN, "a": "Of {{ utterances }}?"}), PAST, digest_of)
    assert found.new == ()
    assert found.unfit == {
        "a": "there are no utterances",
        "b": "it uses the answer of a, which cannot be asked",
        "c": "it uses the answer of b, which cannot be asked",
    }


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ("12345678", 2),
        ("123456789", 3),
        ("{{ transcript }}", 4 + 250),
        ("{{ utterances }}", 4 + 250),
        ("{{ answers.a }}", 5),
        ("{{ answers.nobody }}", 5),
        ("ぜんぶ", 3),
    ],
)
def test_tokens_are_estimated_by_bytes(content: str, tokens: int) -> None:
    (prompt,) = pipeline(p=content).prompts
    assert input_tokens(prompt, 1000, {"a": [answer("a", "x", "four"), answer("a", "y", "x" * 1000)]}) == tokens


@pytest.mark.parametrize(
    ("turns", "asked"),
    [(("One.",), 1), (("One.", None), 1), (("One.", None, "Two."), 2), (("One.", None, "Two.", None), 2)],
)
def test_a_conversation_takes_a_request_for_each_turn(turns: tuple[str | None, ...], asked: int) -> None:
    said = tuple(Message(role="user" if each else "assistant", content=each) for each in turns)
    prompt = Prompt(name="p", messages=said, request={"model": "m"})
    assert requests(prompt) == asked
    assert input_tokens(prompt, 0, {}) == asked * (1 if len(turns) <= 2 else 2)


def test_of_new_prompts_that_share_a_request_all_but_the_first_take_none() -> None:
    of = pipeline(
        a="One of {{ transcript }}?", b="Two?", c="Three?", d="Four of {{ transcript }}?", e="{{ answers.a }}?"
    )
    together = of.model_copy(update={"combine": True})
    assert sharing(together, together.prompts) == {"c", "d"}
    assert sharing(together, [each for each in together.prompts if each.name in {"b", "d"}]) == frozenset()
    assert sharing(of, of.prompts) == frozenset()
