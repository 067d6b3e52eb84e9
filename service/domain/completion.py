"""What the LLM Gateway answered, in our words."""

from collections.abc import Iterable
from enum import StrEnum

import orjson
from pydantic import ConfigDict, ValidationError

from service.domain.errors import StorageTrouble
from service.domain.job import Fact


class Finish(StrEnum):
    """Why a model stopped, normalised over the providers' own words (vendor API reference: finish_reason)."""

    STOP = "stop"
    LENGTH = "length"
    """Cut off at max_tokens: an error, never a silent half."""
    FILTERED = "filtered"
    OTHER = "other"


class Usage(Fact):
    """Tokens, by one naming, whichever the vendor used."""

    # Stored answers are read and never written again: what a newer replica counted is not lost by overlooking it.
    model_config = ConfigDict(frozen=True, extra="ignore")

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0


def summed(usages: Iterable[Usage]) -> Usage:
    """What several requests took together."""
    each = tuple(usages)
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in each),
        output_tokens=sum(usage.output_tokens for usage in each),
        total_tokens=sum(usage.total_tokens for usage in each),
    )


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
