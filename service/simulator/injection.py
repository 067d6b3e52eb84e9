"""`transcript_id` and the tag, by the exact rules of the vendor API reference."""

from typing import Any, Final

from service.simulator.wire import Json

TAG: Final = "{{ transcript }}"


def messages_of(body: Json) -> list[Json]:
    """The messages of a request; `prompt` is short for one user message."""
    messages = body.get("messages")
    if messages:
        return [dict(message) for message in messages]
    return [{"role": "user", "content": body["prompt"]}]


def has_tag(messages: list[Json]) -> bool:
    return any(TAG in text for message in messages for text in texts(message))


def inject(messages: list[Json], text: str) -> list[Json]:
    """Only the first tag of the first message that has one is replaced, and what it became is not looked at again."""
    injected, done = [], False
    for message in messages:
        if not done and any(TAG in part for part in texts(message)):
            injected.append(message | {"content": _replaced(message["content"], text)})
            done = True
        else:
            injected.append(message)
    return injected


def _replaced(content: Any, text: str) -> Any:
    if isinstance(content, str):
        return content.replace(TAG, text, 1)
    parts, done = [], False
    for part in content:
        if not done and TAG in str(part.get("text", "")):
            parts.append(part | {"text": part["text"].replace(TAG, text, 1)})
            done = True
        else:
            parts.append(part)
    return parts


def texts(message: Json) -> list[str]:
    """The texts of a message, whether its content is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    if isinstance(content, list):
        return [str(part["text"]) for part in content if isinstance(part, dict) and part.get("text")]
    return []
