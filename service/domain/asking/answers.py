"""An answer as it is kept: written the moment it arrives, never changed, never asked for again."""

import orjson
from pydantic import ConfigDict, JsonValue, ValidationError

from service.domain.errors import StorageTrouble
from service.domain.job import Fact
from service.domain.use.usage import Usage


class Answer(Fact):
    """What a model answered to a prompt.

    `digest` covers all that the request was rendered from. `finish_reason` is the vendor's word, `request_id` what
    its support asks for. `answered_at` is RFC 3339, UTC. `value` is the content of a structured answer, parsed; None
    for any other. `turns` are what was answered before the last turn of a conversation. `shared_with` are the prompts
    that the same request answered. `from_run` is the earlier run that asked and paid for it; None: the one it lies in.
    """

    # Only read and never written again, so that what a newer replica added is not lost by overlooking it.
    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: str
    digest: str
    content: str
    value: JsonValue = None
    turns: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = ()
    model: str
    usage: Usage
    finish_reason: str | None
    request_id: str | None
    answered_at: str
    from_run: int | None = None

    def to_bytes(self) -> bytes:
        """The JSON that is stored, UTF-8, unescaped."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def stored_answer(body: bytes, key: str) -> Answer:
    """The answer that was stored at `key`. Raises Unavailable when something else lies there now."""
    try:
        return Answer.model_validate_json(body)
    except ValidationError:
        raise StorageTrouble(f"{key} among the results is not an answer of ours; restore or remove it") from None
