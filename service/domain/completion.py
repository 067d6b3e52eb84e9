"""What the LLM Gateway answered, in our words."""

from enum import StrEnum

from pydantic import ConfigDict

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


class Completion(Fact):
    """One answer. `content` is None when the model gave none. `model` is the one that answered, as far as is told."""

    content: str | None
    finish: Finish
    finish_reason: str | None
    model: str
    usage: Usage
    request_id: str | None
