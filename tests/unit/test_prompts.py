"""Templates and their rendering: variables only, nothing rendered twice, one tag for the Gateway to fill."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from service.domain.asking.prompts import TAG, Context, cycle, needs, order, render, request_digest, uses, waves
from service.domain.asking.templates import Source, parse
from service.domain.errors import Code, Permanent
from service.domain.job import Kind, Recording
from service.domain.pipeline import Message, Pipeline, Prompt, from_json, to_json


def recording(key: str = "calls/a.mp3", name: str = "a.mp3", **metadata: str) -> Recording:
    return Recording(
        kind=Kind.FILE,
        uri="file:///x",
        key=key,
        name=name,
        location="/x",
        dropped_at="2026-11-22T00:00:00Z",
        metadata=metadata,
    )


def prompt(*contents: str, name: str = "p") -> Prompt:
    messages = tuple(Message(role="user", content=each) for each in contents)
    return Prompt(name=name, messages=messages, request={"model": "m"})


def context(**changes: object) -> Context:
    whole = Context(recording=recording(), transcript_id="tr-1", utterances="Speaker A: Hello")
    return whole.model_copy(update=changes)


def contents(asked: Prompt, known: Context) -> list[str]:
    return [str(each["content"]) for each in render(asked, known)[0]]


@pytest.mark.parametrize("tag", ["{{transcript}}", "{{ transcript }}", "{{   transcript\t}}", "{{\ntranscript\n}}"])
def test_any_spacing_of_the_transcript_becomes_the_gateways(tag: str) -> None:
    messages, wanted = render(prompt(f"Summarize:\n{tag}!"), context())
    assert messages == [{"role": "user", "content": "Summarize:\n{{ transcript }}!"}]
    assert wanted


def test_without_the_transcript_none_is_asked_for() -> None:
    messages, wanted = render(prompt("{{ utterances }}"), context())
    assert messages == [{"role": "user", "content": "Speaker A: Hello"}]
    assert not wanted


def test_every_variable_is_filled() -> None:
    text = (
        "{{source.key}}|{{ source.name }}|{{ source.metadata.Caller-Id }}|{{ source.metadata.none }}"
        "|{{ transcript_id }}|{{ answers.other-1 }}|{{ utterances }}"
    )
    known = context(recording=recording(**{"caller-id": "7"}), answers={"other-1": "yes"})
    assert contents(prompt(text), known) == ["calls/a.mp3|a.mp3|7||tr-1|yes|Speaker A: Hello"]


def test_roles_and_the_order_of_messages_stay() -> None:
    asked = Prompt(
        name="p",
        messages=(Message(role="system", content="Be brief."), Message(role="user", content="{{ transcript }}")),
        request={"model": "m"},
    )
    assert [each["role"] for each in render(asked, context())[0]] == ["system", "user"]


def test_what_a_value_holds_is_not_rendered_again() -> None:
    known = context(answers={"a": "{{ source.key }} {{ answers.a }}"})
    assert contents(prompt("{{ answers.a }}"), known) == ["{{ source.key }} {{ answers.a }}"]


def test_a_tag_that_came_with_a_file_name_is_not_filled_in_place_of_ours() -> None:
    known = context(recording=recording(name="{{ transcript }}.mp3"))
    assert contents(prompt("{{ source.name }}: {{ transcript }}"), known) == ["{{transcript}}.mp3: {{ transcript }}"]


def test_a_tag_that_arises_where_values_meet_is_not_filled_either() -> None:
    known = context(recording=recording(key="{{ trans", name="cript }}"))
    assert TAG not in contents(prompt("{{ source.key }}{{ source.name }}", "{{ transcript }}"), known)[0]
    known = context(recording=recording(key="{"))
    assert TAG not in contents(prompt("{{ source.key }}{ transcript }}", "{{ transcript }}"), known)[0]


PIECES = st.lists(
    st.one_of(
        st.sampled_from(["{{ source.key }}", "{{source.name}}", "{{ answers.a }}", "{{ source.metadata.m }}"]),
        st.text("{} transcip", max_size=6).filter(lambda text: "{{" not in text),
    ),
    max_size=6,
)
VALUES = st.lists(st.sampled_from(["{{ transcript }}", "{{", "{", " transcript", " ", "}}", "}", "x"])).map("".join)


@given(PIECES, PIECES, PIECES, VALUES, VALUES, VALUES, VALUES)
def test_whatever_values_hold_the_gateway_fills_our_tag_only(
    first: list[str], before: list[str], after: list[str], key: str, name: str, answer: str, metadata: str
) -> None:
    asked = prompt("".join(first), f"{''.join(before)}\n{{{{transcript}}}}\n{''.join(after)}")
    if any(parse(message.content).faults for message in asked.messages):
        return
    known = context(recording=recording(key=key, name=name, m=metadata), answers={"a": answer})
    told, wanted = render(asked, known)
    assert wanted
    assert TAG not in str(told[0]["content"])
    assert str(told[1]["content"]).count(TAG) == 1
    assert f"\n{TAG}\n" in str(told[1]["content"])


@given(VALUES)
def test_values_stand_in_the_text_as_they_are_but_for_the_tag(value: str) -> None:
    [content] = contents(prompt("[{{ answers.a }}]"), context(answers={"a": value}))
    assert content == f"[{value.replace(TAG, '{{transcript}}')}]"


def test_utterances_that_are_not_there_fail_the_prompt() -> None:
    with pytest.raises(Permanent, match="no utterances") as caught:
        render(prompt("{{ utterances }}"), context(utterances=None))
    assert caught.value.code is Code.PROMPT_FAILED


def test_paragraphs_stand_where_they_are_used() -> None:
    assert contents(prompt("Of {{ paragraphs }}"), context(paragraphs="One.\n\nTwo.")) == ["Of One.\n\nTwo."]
    with pytest.raises(Permanent, match="no paragraphs"):
        render(prompt("{{ paragraphs }}"), context())


def test_an_answer_that_is_not_there_skips_the_prompt() -> None:
    with pytest.raises(Permanent, match="`first`") as caught:
        render(prompt("{{ answers.first }}"), context())
    assert caught.value.code is Code.PROMPT_SKIPPED


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{{ transcrip }}", "did you mean `transcript`"),
        ("{{ source.nam }}", "did you mean `source.name`"),
        ("{{ answers }}", "no variable"),
        ("{{ answers.Bad }}", "no variable"),
        ("{{ answers.triage.sentiment }}", "prompts use whole answers"),
        ("{{ transcript | upper }}", "filter"),
        ("{{ upper(transcript) }}", "call"),
        ("{{ }}", "names no variable"),
        ("{{ transcript", "never closed"),
        ("{{ {{ transcript }} }}", "never closed"),
        ("{{{ transcript }}}", "no variable"),
        ("{% if transcript %}", "statement"),
        ("{{ transcript\u200b }}", "no variable"),
    ],
)
def test_what_is_no_variable_is_a_fault(text: str, what: str) -> None:
    [fault, *_] = parse(f"One\ntwo {text}").faults
    assert re.search(what, f"{fault.what}; {fault.cure}")
    assert fault.line == 1


def test_braces_that_open_nothing_are_text() -> None:
    assert parse('Answer as {"a": {"b": 1}} or {a}.').pieces == ('Answer as {"a": {"b": 1}} or {a}.',)


@given(st.text("{} %transcip.|(", max_size=60))
def test_parsing_takes_any_text(text: str) -> None:
    template = parse(text)
    assert template.faults or "{{" not in "".join(each for each in template.pieces if isinstance(each, str))


def test_a_prompt_needs_the_answers_that_it_uses() -> None:
    assert needs(prompt("{{ answers.a }} {{answers.b}} {{ transcript }}", "{{ answers.a }}")) == {"a", "b"}


def test_prompts_are_asked_in_waves() -> None:
    one = prompt("{{ transcript }}", name="one")
    two = prompt("{{ answers.one }}", name="two")
    three = prompt("{{ answers.one }} {{ answers.two }}", name="three")
    other = prompt("{{ transcript }}", name="other")
    assert [[each.name for each in wave] for wave in order([three, two, one, other])] == [
        ["one", "other"],
        ["two"],
        ["three"],
    ]


def test_a_cycle_is_named_from_where_it_begins() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ("b", "c", "b")
    assert cycle({"a": {"a"}}) == ("a", "a")
    assert cycle({"a": {"b"}, "b": set()}) == ()
    assert waves({"a": {"b"}, "b": {"a"}, "c": set()}) == (("c",),)


def test_a_requests_digest_changes_with_all_that_an_answer_depends_on() -> None:
    request: dict[str, JsonValue] = {"model": "m", "messages": [{"role": "user", "content": "é"}]}
    digests = {
        request_digest(request, "tr-1", {}),
        request_digest({**request, "temperature": 0}, "tr-1", {}),
        request_digest(request, "tr-2", {}),
        request_digest(request, "tr-1", {"a": "0f"}),
        request_digest(request, "tr-1", {"a": "0e"}),
    }
    assert len(digests) == 5
    assert request_digest(dict(reversed(request.items())), "tr-1", {}) in digests


def test_a_digest_takes_the_odd_bytes_of_a_file_name() -> None:
    assert request_digest({"messages": [b"\xff.mp3".decode(errors="surrogateescape")]}, "tr-1", {})


def test_a_prompt_says_whether_it_uses_a_source() -> None:
    assert uses(prompt("x", "{{transcript}}"), Source.TRANSCRIPT)
    assert not uses(prompt("{{ utterances }}"), Source.TRANSCRIPT)


def test_the_order_of_a_schemas_properties_is_pinned_and_makes_another_answer() -> None:
    """Models answer in that order, so that a reason can stand before the verdict that it leads to."""

    def asked(*names: str) -> Prompt:
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
        shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        message = Message(role="user", content="{{ transcript }}")
        return Prompt(name="triage", messages=(message,), request={"model": "m", "response_format": shape})

    def digest_of(prompt: Prompt) -> str:
        return request_digest(prompt.request, "tr-1", {})

    reasoned, judged = asked("reason", "verdict"), asked("verdict", "reason")
    pipeline = Pipeline(name="calls", match=(), transcript={}, prompts=(reasoned,))
    (kept,) = from_json(to_json(pipeline)).prompts
    assert digest_of(kept) == digest_of(reasoned) != digest_of(judged)
    swapped = {name: reasoned.request[name] for name in ("response_format", "model")}
    assert request_digest(swapped, "tr-1", {}) == digest_of(reasoned)
