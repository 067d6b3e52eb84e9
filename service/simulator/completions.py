"""Chat completions: the answer that a request gets."""

import hashlib
import math
import uuid
from dataclasses import dataclass
from typing import Final

import orjson

from service.simulator.answers import extract
from service.simulator.catalogue import Model
from service.simulator.injection import texts
from service.simulator.instances import instance_of
from service.simulator.rules import Rule
from service.simulator.wire import Json, RefusedError

DEFAULT_MAX_TOKENS: Final = 1000


def tokens(text: str) -> int:
    """Four characters are about one token (vendor API reference)."""
    return math.ceil(len(text) / 4)


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """An answer before it is put on the wire."""

    model: Model
    content: str | None
    finish_reason: str
    input_tokens: int
    output_tokens: int
    digest: str
    tool_calls: tuple[Json, ...] = ()
    old_usage: bool = False


def complete(body: Json, model: Model, messages: list[Json], transcript: str | None, drawn: list[Rule]) -> Completion:
    """The answer, with what the fault dial does to it. Raises RefusedError (400) if the context is too long."""
    read = sum(tokens(text) for message in messages for text in texts(message))
    if read > model.context_length:
        raise RefusedError(400, "model context limit exceeded")
    calls = _tool_calls(body, messages, transcript)
    content = "" if calls else _content(body, messages, transcript)
    finish = {"anthropic": "tool_use"}.get(model.family, "tool_calls") if calls else model.stop
    most = int(body.get("max_tokens") or DEFAULT_MAX_TOKENS) * 4
    if len(content) > most:
        content, finish = content[:most], model.cut
    final: str | None = None if calls else content
    for rule in drawn:
        final, finish = _spoilt(rule, final, finish, model)
    if (
        final is not None
        and body.get("response_format")
        and {"type": "json-repair"} in (body.get("post_processing_steps") or [])
    ):
        final = repaired(final)
    digest = hashlib.sha256(orjson.dumps([model.id, messages])).hexdigest()
    return Completion(
        model=model,
        content=final,
        finish_reason=finish,
        input_tokens=read,
        output_tokens=tokens(final or ""),
        digest=digest,
        tool_calls=tuple(calls),
        old_usage=any(rule.do == "old_usage" for rule in drawn),
    )


def _without(content: str, rule: Rule) -> str:
    """A structured answer whose property is missing, or of another type."""
    try:
        told = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content
    name = rule.given["property"]
    if not isinstance(told, dict) or name not in told:
        return content
    kept = {key: value for key, value in told.items() if key != name}
    return orjson.dumps(kept if rule.do == "omit" else told | {name: [4711]}).decode()


def repaired(content: str) -> str:
    """The JSON of an answer, taken out of its fence, cut off behind it. Raises RefusedError (500) if there is none.

    The vendor answers 500 rather than what it cannot repair (vendor API reference: post-processing).
    """
    bare = content.strip().removeprefix("```json").removesuffix("```").strip()
    for text in (bare, bare.rstrip(",") + "}", bare.rstrip(",") + "]"):
        try:
            orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        return text
    raise RefusedError(500, "json-repair failed")


def _content(body: Json, messages: list[Json], transcript: str | None) -> str:
    text = extract(messages, transcript)
    wanted = body.get("response_format")
    if wanted is None:
        return text
    return orjson.dumps(instance_of(wanted["json_schema"]["schema"], text)).decode()


def _spoilt(rule: Rule, content: str | None, finish: str, model: Model) -> tuple[str | None, str]:
    match rule.do:
        case "truncate":
            return (content or "")[: len(content or "") // 2], rule.given["finish_reason"] or model.cut
        case "finish":
            return content, rule.given["finish_reason"]
        case _:
            return _reworded(rule, content), finish


def _reworded(rule: Rule, content: str | None) -> str | None:
    match rule.do:
        case "null_content":
            return None
        case "broken_json":
            return f"```json\n{(content or '')[:-1]},"
        case "omit" | "mistype":
            return _without(content or "", rule)
        case "say":
            return str(rule.given["content"])
        case _:
            return content


def _tool_calls(body: Json, messages: list[Json], transcript: str | None) -> list[Json]:
    """A tool is called only when the request forces one by name."""
    choice = body.get("tool_choice")
    if not isinstance(choice, dict):
        return []
    name = (choice.get("function") or {}).get("name")
    for tool in body.get("tools") or []:
        function = tool.get("function") or {}
        if function.get("name") == name:
            arguments = instance_of(function.get("parameters") or {"type": "object"}, extract(messages, transcript))
            told = {"name": name, "arguments": orjson.dumps(arguments).decode()}
            return [{"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": told}]
    return []


def usage(completion: Completion) -> Json:
    """Both namings, or only the earlier one where the fault dial says so."""
    read, written = completion.input_tokens, completion.output_tokens
    counts: Json = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
    if completion.old_usage:
        return counts
    return counts | {
        "prompt_tokens": read,
        "completion_tokens": written,
        "prompt_tokens_details": {
            "cached_tokens": 0,
            "audio_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def completion_document(body: Json, completion: Completion, request_id: str, nanoseconds: int) -> Json:
    """The body of a 200. The echo of the request leaves out what the vendor leaves out."""
    silent = {"messages", "prompt", "post_processing_steps", "fallbacks", "fallback_config"}
    message: Json = {"role": "assistant", "content": completion.content}
    if completion.tool_calls:
        message["tool_calls"] = list(completion.tool_calls)
    return {
        "request": {name: value for name, value in body.items() if name not in silent},
        "request_id": request_id,
        "model": completion.model.id,
        "choices": [{"index": 0, "message": message, "finish_reason": completion.finish_reason}],
        "usage": usage(completion),
        "http_status_code": 200,
        "response_time": nanoseconds,
        "llm_status_code": 200,
    }
