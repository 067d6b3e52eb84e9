"""The LLM Gateway's JSON as our records (vendor API reference: chat completions, response)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from service.adapters.assemblyai.json_values import Garbled, count, mapping, parsed, sequence, text
from service.domain.asking.completion import Completion, Finish
from service.domain.use.usage import Usage

LONGEST_NAME: Final = 200

_FINISHES: Final[Mapping[str, Finish]] = MappingProxyType(
    {
        "stop": Finish.STOP,
        "end_turn": Finish.STOP,
        "stop_sequence": Finish.STOP,
        "eos": Finish.STOP,
        "length": Finish.LENGTH,
        "max_tokens": Finish.LENGTH,
        "max_output_tokens": Finish.LENGTH,
        "model_length": Finish.LENGTH,
        "model_context_window_exceeded": Finish.LENGTH,
        "content_filter": Finish.FILTERED,
        "content_filtered": Finish.FILTERED,
        "guardrail_intervened": Finish.FILTERED,
        "refusal": Finish.FILTERED,
        "safety": Finish.FILTERED,
        "recitation": Finish.FILTERED,
        "blocklist": Finish.FILTERED,
        "prohibited_content": Finish.FILTERED,
        "spii": Finish.FILTERED,
        "model_armor": Finish.FILTERED,
    }
)
"""Each provider's own word, in lower case; all others, tool calls among them, are OTHER."""


def completion(body: bytes | bytearray, requested: str) -> Completion:
    """The answer of a completion; `requested` is the model that was asked for. Raises Garbled."""
    answer = parsed(body)
    choices = sequence(answer.get("choices"))
    if choices is None:
        raise Garbled("it holds no choices")
    content, reason = _chosen([mapping(choice) for choice in choices])
    return Completion(
        content=content,
        finish=finish(reason),
        finish_reason=reason,
        model=_model(answer, requested),
        usage=usage(mapping(answer.get("usage"))),
        request_id=_name(answer.get("request_id")),
    )


def finish(reason: str | None) -> Finish:
    """Why the model stopped, whatever its provider calls it."""
    return _FINISHES.get((reason or "").casefold(), Finish.OTHER)


def usage(told: Mapping[str, object]) -> Usage:
    """Tokens under either naming, of one request; what is not told is 0, and the total then the sum."""
    spent_in = count(told.get("input_tokens")) or count(told.get("prompt_tokens")) or 0
    spent_out = count(told.get("output_tokens")) or count(told.get("completion_tokens")) or 0
    inside = mapping(told.get("prompt_tokens_details"))
    written = [count(each) or 0 for each in mapping(inside.get("cache_creation")).values()]
    return Usage(
        requests=1,
        cached_input_tokens=count(inside.get("cached_tokens")) or 0,
        cache_written_tokens=sum(written),
        reasoning_tokens=count(mapping(told.get("completion_tokens_details")).get("reasoning_tokens")) or 0,
        input_tokens=spent_in,
        output_tokens=spent_out,
        total_tokens=count(told.get("total_tokens")) or spent_in + spent_out,
    )


def _chosen(choices: Sequence[Mapping[str, object]]) -> tuple[str | None, str | None]:
    """The first choice that has words: tool calls may come as choices of their own, before or after it."""
    content, reason = None, None
    for choice in choices:
        content = _content(mapping(choice.get("message")).get("content"))
        reason = _name(choice.get("finish_reason")) or reason
        if content:
            break
    return content, reason


def _content(value: object) -> str | None:
    """Words, given whole or in parts."""
    parts = sequence(value)
    if parts is None:
        return text(value)
    words = [text(mapping(part).get("text")) for part in parts]
    told = [word for word in words if word is not None]
    return "".join(told) if told else None


def _model(answer: Mapping[str, object], requested: str) -> str:
    """Which model answered after a fallback is documented nowhere; the answer's own word comes first."""
    return _name(answer.get("model")) or _name(mapping(answer.get("request")).get("model")) or requested


def _name(value: object) -> str | None:
    """A printable name, cut to what a row can hold."""
    name = "".join(filter(str.isprintable, text(value) or ""))[:LONGEST_NAME]
    return name or None
