"""How long a request is, in tokens, before anybody counts them for us: an estimate, on the careful side for English."""

import math
from collections.abc import Iterable
from typing import Final

from service.domain.asking.prompts import TAG
from service.domain.asking.turns import Request, Said, messages_of
from service.domain.errors import NoRoom

BYTES_PER_TOKEN: Final = 4
MAX_TOKENS: Final = 1000
"""What the LLM Gateway takes where a request does not say (vendor API reference: chat completions)."""


def tokens(messages: Iterable[Said], text_bytes: int | None) -> int | None:
    """The tokens of these messages, the transcript that the LLM Gateway puts in for the tag included.

    `text_bytes` is the transcript's length in UTF-8. None: it is needed and not known.
    """
    contents = [str(message["content"]) for message in messages]
    size = sum(len(content.encode(errors="replace")) for content in contents)
    if any(TAG in content for content in contents):
        if text_bytes is None:
            return None
        size += text_bytes - len(TAG)
    return math.ceil(size / BYTES_PER_TOKEN)


def check_room(request: Request, text_bytes: int | None, context: int | None) -> None:
    """Returns if the model whose `context` (tokens) this is may have room for question and answer, as far as is known.

    Raises NoRoom.
    """
    asked = None if context is None else tokens(messages_of(request), text_bytes)
    if asked is None:
        return
    most = request.get("max_tokens")
    answer = most if isinstance(most, int) else MAX_TOKENS
    if context is not None and asked + answer > context:
        raise NoRoom(
            f"{request['model']} has a context of {context} tokens, and the prompt takes about {asked}"
            f" and its answer up to {answer}"
        )


def within_output(request: Request, most_output: int | None) -> Request:
    """The request with no more `max_tokens` than the model can write at all, as far as that is known."""
    most = request.get("max_tokens")
    if most_output is None or not isinstance(most, int) or most <= most_output:
        return request
    return {**request, "max_tokens": most_output}
