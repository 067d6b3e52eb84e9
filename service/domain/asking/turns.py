"""Conversations: where a prompt asks, and what goes out each time. A turn is a rendered message without content.

The LLM Gateway keeps nothing between two requests: each brings all that was said before it (vendor API reference:
multi-turn).
"""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from pydantic import JsonValue

from service.domain.asking.prompts import INERT, TAG

Request = Mapping[str, JsonValue]
"""The body of a request to the LLM Gateway."""

Said = dict[str, JsonValue]
"""A message."""

LAST_ONLY: Final = frozenset({"response_format", "post_processing_steps"})
"""Fields that shape the answer, which is the last turn's."""

REPAIR: Final = "json-repair"


def messages_of(request: Request) -> list[Said]:
    return cast("list[Said]", request["messages"])


def parts(messages: Sequence[Said]) -> tuple[tuple[Said, ...], ...]:
    """What is said before each turn; the model is asked after each part, also after a last one without a turn."""
    found: list[tuple[Said, ...]] = []
    part: list[Said] = []
    for message in messages:
        if "content" in message:
            part.append(message)
        else:
            found.append(tuple(part))
            part = []
    if part:
        found.append(tuple(part))
    return tuple(found)


def turn(request: Request, history: Sequence[Said], *, last: bool) -> Request:
    """The request that asks for the next turn. Only with the tag the transcript's id goes along."""
    body = {**request, "messages": list[JsonValue](history)}
    if not any(TAG in str(message["content"]) for message in history):
        body.pop("transcript_id", None)
    return body if last else _unshaped(body)


def _unshaped(request: Request) -> Request:
    body = {name: value for name, value in request.items() if name not in LAST_ONLY}
    if "fallbacks" in body:
        overrides = cast("list[Said]", body["fallbacks"])
        shapeless = [{name: override[name] for name in override if name not in LAST_ONLY} for override in overrides]
        body["fallbacks"] = list[JsonValue](shapeless)
    return body


def answered(content: str) -> Said:
    """What the model said, as later turns see it: the Gateway must find no other tag in it than the prompt's own."""
    return {"role": "assistant", "content": content.replace(TAG, INERT)}


def corrected(request: Request, raw: str, wrong: str) -> Request:
    """The request once more, after an answer that does not fit: it shows the model what it said and what is wrong."""
    words = (
        f"That is not a valid answer: {wrong.replace(TAG, INERT)}. "
        "Answer again, with the whole JSON document, corrected, and nothing else."
    )
    messages: list[Said] = [*messages_of(request), answered(raw), {"role": "user", "content": words}]
    steps = [step for step in _steps(request) if step.get("type") != REPAIR]
    return {**request, "messages": list[JsonValue](messages), "post_processing_steps": [*steps, {"type": REPAIR}]}


def unrepaired(request: Request) -> Request | None:
    """The request without the repair of JSON; None if it asks for none."""
    steps = _steps(request)
    kept = [step for step in steps if step.get("type") != REPAIR]
    if len(kept) == len(steps):
        return None
    rest = {name: value for name, value in request.items() if name != "post_processing_steps"}
    return {**rest, "post_processing_steps": list[JsonValue](kept)} if kept else rest


def _steps(request: Request) -> list[Said]:
    return cast("list[Said]", request.get("post_processing_steps") or [])
