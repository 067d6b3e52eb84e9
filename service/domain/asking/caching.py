"""Prompt caching: Claude reads a long transcript once for all turns of a conversation, if the message is marked.

Other providers do so unasked (vendor API reference: prompt caching).
"""

from types import MappingProxyType
from typing import Final

from pydantic import JsonValue

from service.domain.asking.sizes import tokens
from service.domain.asking.turns import Request, messages_of

MARK: Final = MappingProxyType[str, JsonValue]({"type": "ephemeral"})
LEAST: Final = MappingProxyType({"claude-sonnet-4-5": 1024, "claude-sonnet-4-6": 2048})
"""Tokens from which on a prefix is kept, by the beginning of the model's id."""
LEAST_OF_OTHERS: Final = 4096


def marked(request: Request, at: int | None, text_bytes: int | None) -> Request:
    """The request with a mark on message `at`, which holds the transcript; unchanged where none would help.

    Nobody's own `cache_control` is touched. The mark is no part of what an answer depends on.
    """
    messages = messages_of(request)
    model = str(request["model"])
    if at is None or at >= len(messages) or not model.startswith("claude-") or "cache_control" in request:
        return request
    prefix = tokens(messages[: at + 1], text_bytes)
    least = next((least for begins, least in LEAST.items() if model.startswith(begins)), LEAST_OF_OTHERS)
    if prefix is None or prefix < least:
        return request
    carrying = {**messages[at], "cache_control": dict(MARK)}
    return {**request, "messages": [*messages[:at], carrying, *messages[at + 1 :]]}
