"""A completion as server-sent events."""

import time
from collections.abc import Iterator
from typing import Final

import orjson

from service.simulator.completions import Completion, usage
from service.simulator.wire import Json

PIECE: Final = 40


def events(body: Json, completion: Completion, request_id: str) -> Iterator[bytes]:
    """`chat.completion.chunk` events and the final `[DONE]`; the usage comes last, if it was asked for."""
    start: Json = {
        "id": request_id,
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": completion.model.id,
    }
    content = completion.content or ""
    for place in range(0, len(content), PIECE):
        delta = {"role": "assistant"} if place == 0 else {}
        yield _event(start | {"choices": [_choice(delta | {"content": content[place : place + PIECE]}, None)]})
    yield _event(start | {"choices": [_choice({}, completion.finish_reason)]})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _event(start | {"choices": [], "usage": usage(completion)})
    yield b"data: [DONE]\n\n"


def _choice(delta: Json, finish_reason: str | None) -> Json:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _event(chunk: Json) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"
