"""What the LLM Gateway answered, in our words."""

from collections.abc import Mapping
from enum import StrEnum

import orjson
from pydantic import ConfigDict, JsonValue, ValidationError

from service.domain.errors import Code, Permanent, StorageTrouble
from service.domain.job import Fact
from service.domain.use.usage import Usage


class Finish(StrEnum):
    """Why a model stopped, normalised over the providers' own words (vendor API reference: finish_reason)."""

    STOP = "stop"
    LENGTH = "length"
    """Cut off at max_tokens: an error, never a silent half."""
    FILTERED = "filtered"
    OTHER = "other"


class Completion(Fact):
    """One answer. `content` is None when the model gave none. `model` is the one that answered, as far as is told."""

    # Those that are kept are only read and never written again, as answers are.
    model_config = ConfigDict(frozen=True, extra="ignore")

    content: str | None
    finish: Finish
    finish_reason: str | None
    model: str
    usage: Usage
    request_id: str | None

    @property
    def whole(self) -> bool:
        """There is something, and nothing of it was cut off or withheld."""
        return self.finish not in {Finish.LENGTH, Finish.FILTERED} and bool((self.content or "").strip())

    def to_bytes(self) -> bytes:
        """The JSON that is stored, UTF-8, unescaped."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def stored_completion(body: bytes, key: str) -> Completion:
    """The completion that was stored at `key`. Raises Unavailable when something else lies there now."""
    try:
        return Completion.model_validate_json(body)
    except ValidationError:
        raise StorageTrouble(f"{key} among the results is not a completion of ours; restore or remove it") from None


def words(completion: Completion, request: Mapping[str, JsonValue]) -> str:
    """The words of a completion of this request. Raises Permanent for what must not pass as an answer."""
    content = completion.content or ""
    refusal: tuple[Code, str]
    if completion.whole:
        return content
    if completion.finish is Finish.LENGTH:
        most = request.get("max_tokens")
        place = "the model's own limit, for want of max_tokens" if most is None else f"max_tokens={most}"
        refusal = (Code.PROMPT_TRUNCATED, f"the answer was cut off at {place}")
    elif completion.finish is Finish.FILTERED:
        refusal = (Code.PROMPT_BLOCKED, f"the model withheld its answer ({completion.finish_reason})")
    else:
        refusal = (Code.PROMPT_EMPTY, f"the model gave no content ({completion.finish_reason or 'and no reason'})")
    raise Permanent(*refusal, request_id=completion.request_id)
