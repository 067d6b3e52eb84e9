"""From a prompt and what is known of a recording to the messages that go to the LLM Gateway."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

from pydantic import JsonValue

from service.domain.asking.templates import Source, Variable, parse
from service.domain.errors import Code, Permanent
from service.domain.job import Fact, Recording
from service.domain.pipeline import Prompt, canonical, in_order

TAG: Final = "{{ transcript }}"
"""The one spelling that the Gateway fills (vendor API reference: transcript_id)."""

INERT: Final = "{{transcript}}"
"""A spelling that the Gateway leaves alone (vendor API reference: transcript_id)."""


SPEECH: Final = frozenset({Source.TRANSCRIPT, Source.UTTERANCES, Source.PARAGRAPHS})
"""The variables that stand for what was said in the recording."""


class Context(Fact):
    """All that prompts may speak of. `utterances` is None where the transcript has none; `answers` by prompt.

    `paragraphs` is None where no prompt of the pipeline uses them.
    """

    recording: Recording
    transcript_id: str
    utterances: str | None
    paragraphs: str | None = None
    answers: Mapping[str, str] = {}


def variables(prompt: Prompt) -> Sequence[Variable]:
    return [each for message in prompt.messages for each in parse(message.content or "").variables()]


def needs(prompt: Prompt) -> frozenset[str]:
    """The prompts whose answers this one uses."""
    return frozenset(each.name for each in variables(prompt) if each.source is Source.ANSWER)


def uses(prompt: Prompt, source: Source) -> bool:
    return any(each.source is source for each in variables(prompt))


def speech_at(prompt: Prompt) -> int | None:
    """Which of the messages is the first that holds what was said in the recording."""
    holds = [any(each.source in SPEECH for each in parse(said.content or "").variables()) for said in prompt.messages]
    return holds.index(True) if True in holds else None


def waves(needed: Mapping[str, Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """Names in the order in which they can be asked, those of one wave at the same time.

    `needed` maps each name to the names it needs. Names in a cycle, or behind one, are in no wave.
    """
    waiting = {name: set(names) for name, names in needed.items()}
    result: list[tuple[str, ...]] = []
    while ready := tuple(name for name, names in waiting.items() if not names & waiting.keys()):
        result.append(ready)
        waiting = {name: names for name, names in waiting.items() if name not in ready}
    return tuple(result)


def order(prompts: Sequence[Prompt]) -> tuple[tuple[Prompt, ...], ...]:
    """The waves of a pipeline's prompts; a loaded pipeline has no cycles, so all are in one."""
    by_name = {prompt.name: prompt for prompt in prompts}
    return tuple(
        tuple(by_name[name] for name in wave)
        for wave in waves({name: needs(prompt) for name, prompt in by_name.items()})
    )


def cycle(needed: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """A cycle as a path that ends where it begins; empty if there is none."""
    placed = {name for wave in waves(needed) for name in wave}
    stuck = {name: sorted(set(names) & (needed.keys() - placed)) for name, names in needed.items()}
    name = next((each for each in needed if each not in placed), None)
    path: list[str] = []
    while name is not None and name not in path:
        path.append(name)
        name = stuck[name][0]
    return () if name is None else (*path[path.index(name) :], name)


def render(prompt: Prompt, context: Context) -> tuple[list[dict[str, JsonValue]], bool]:
    """The messages, and whether the transcript's id must go with them for the Gateway to fill the tag.

    The first tag in exactly the Gateway's spelling is the one that the prompt wrote; what is put in for other
    variables is never read as a template, here or there. A turn stands there without content (see turns.py).
    Raises Permanent if the prompt needs utterances or an answer that are not there.
    """
    rendered: list[dict[str, JsonValue]] = []
    uses_transcript = False
    for message in prompt.messages:
        if message.content is None:
            rendered.append({"role": message.role})
            continue
        parts: list[list[str]] = [[]]
        for piece in parse(message.content).pieces:
            if isinstance(piece, Variable) and piece.source is Source.TRANSCRIPT:
                parts.append([])
            else:
                parts[-1].append(piece if isinstance(piece, str) else _value(piece, context))
        # The Gateway fills the first tag that it finds, so one that came with a file name, an answer or the speech
        # itself would be filled in place of ours. It may also arise where a value meets the text beside it: what
        # stands around our tag is joined first, then every tag in it is turned into a spelling that is left alone.
        content = TAG.join("".join(part).replace(TAG, INERT) for part in parts)
        uses_transcript = uses_transcript or len(parts) > 1
        rendered.append({"role": message.role, "content": content})
    return rendered, uses_transcript


def speech(source: Source, context: Context) -> str:
    """What stands for one of SPEECH in a request: the text, or TAG for the Gateway to fill. Raises Permanent."""
    return TAG if source is Source.TRANSCRIPT else _value(Variable(source=source), context)


def instruction(content: str, context: Context, stand_ins: Mapping[Source, str]) -> str:
    """The words of one message, with what stands for the speech instead of it. Raises Permanent as `render`."""
    return "".join(
        piece if isinstance(piece, str) else stand_ins.get(piece.source) or _value(piece, context)
        for piece in parse(content).pieces
    )


def filled(request: Mapping[str, JsonValue], text: str) -> dict[str, JsonValue]:
    """The request as the Gateway would fill it: `text` in place of the tag, and no transcript's id.

    For a transcript that the vendor no longer has (vendor API reference: only the first tag of the first message).
    """
    messages: list[JsonValue] = []
    left = 1 if "transcript_id" in request else 0
    for message in cast("list[dict[str, str]]", request["messages"]):
        content = message["content"]
        messages.append({**message, "content": content.replace(TAG, text, left)})
        left -= TAG in content and left > 0
    return {**{name: value for name, value in request.items() if name != "transcript_id"}, "messages": messages}


def _value(variable: Variable, context: Context) -> str:
    match variable.source:
        case Source.UTTERANCES:
            value = context.utterances
            lack = (
                Code.PROMPT_FAILED,
                "The transcript has no utterances: it was made without speaker labels or channels.",
            )
        case Source.PARAGRAPHS:
            value = context.paragraphs
            lack = Code.PROMPT_FAILED, "The transcript has no paragraphs."
        case Source.ANSWER:
            value = context.answers.get(variable.name)
            lack = Code.PROMPT_SKIPPED, f"The answer to `{variable.name}`, which this prompt needs, is missing."
        case _:
            return _fact(variable, context)
    if value is None:
        raise Permanent(*lack)
    return value


def _fact(variable: Variable, context: Context) -> str:
    recording = context.recording
    match variable.source:
        case Source.TRANSCRIPT_ID:
            return context.transcript_id
        case Source.KEY:
            return recording.key
        case Source.NAME:
            return recording.name
        case Source.METADATA:
            return {name.lower(): value for name, value in recording.metadata.items()}.get(variable.name, "")
        case _:
            raise ValueError(variable.source)


def request_digest(request: Mapping[str, JsonValue], transcript_id: str, answers_used: Mapping[str, str]) -> str:
    """SHA-256, in hex, over all that an answer depends on, the order of a schema's properties among it.

    `request` is the rendered body; `answers_used` maps each prompt whose answer is in it to that answer's digest.
    """
    used: dict[str, JsonValue] = dict(answers_used)
    whole: dict[str, JsonValue] = {"request": dict(request), "transcript_id": transcript_id, "answers": used}
    if (shape := request.get("response_format")) is not None:
        whole["order"] = in_order(shape).decode(errors="surrogatepass")
    return hashlib.sha256(canonical(whole)).hexdigest()
