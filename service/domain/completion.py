"""What the LLM Gateway answered, in our words."""

from enum import StrEnum

import orjson
from pydantic import ConfigDict, ValidationError

from service.domain.errors import StorageTrouble
from service.domain.job import Fact
from service.domain.usage import Usage


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
