"""What is counted for the people on call, by names that never change meaning; who counts it is not our concern."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

CALLBACKS: Final = "afterword_callbacks_total"
"""Callbacks by what became of them."""
CALLBACKS_LOST: Final = "afterword_callbacks_lost_total"
"""Transcripts that were done five minutes before we looked, and nobody had called."""
LAST_CALLBACK: Final = "afterword_last_callback_timestamp_seconds"
"""When a genuine callback was last stored; epoch seconds."""
VENDOR_REQUESTS: Final = "afterword_vendor_requests_total"
"""Requests to the vendor by operation and result."""
ANSWERS: Final = "afterword_answers_total"
"""Answers to prompts: stored, reused from an earlier run, failed, or second to another worker's."""
EVENTS_PUBLISHED: Final = "afterword_events_published_total"
"""Events handed over, by type; a repeated delivery counts again."""
DROPS: Final = "afterword_drops_total"
"""Recordings that arrived: received, known, unmatched, ignored."""
TOKENS: Final = "afterword_tokens_total"
"""Tokens of language models, by direction: input, output."""
PIPELINE_TOKENS: Final = "afterword_pipeline_tokens_total"
"""The same tokens by pipeline and the model that answered."""
PIPELINE_REQUESTS: Final = "afterword_pipeline_requests_total"
"""Answers of language models, whether they could be used or not, by pipeline and model."""
PIPELINE_COST: Final = "afterword_pipeline_estimated_dollars_total"
"""What those answers cost by list prices, where the catalogue has them."""
PIPELINE_AUDIO: Final = "afterword_pipeline_audio_seconds_total"
"""Sound that was transcribed, each channel by itself, by pipeline."""
PAID_IN_DOUBT: Final = "afterword_paid_in_doubt_total"
"""Paid requests that may have been carried out twice: what no protocol can exclude."""
CATALOGUE_HEARD: Final = "afterword_catalogue_heard_timestamp_seconds"
"""When the catalogue of models was last heard; epoch seconds."""
MODEL_DOUBTS: Final = "afterword_model_doubts"
"""What the catalogue says against the models of the pipelines file."""

COUNTERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        CALLBACKS: ("result",),
        CALLBACKS_LOST: (),
        VENDOR_REQUESTS: ("operation", "result"),
        ANSWERS: ("result",),
        EVENTS_PUBLISHED: ("type",),
        DROPS: ("result",),
        TOKENS: ("direction",),
        PIPELINE_TOKENS: ("pipeline", "model", "direction"),
        PIPELINE_REQUESTS: ("pipeline", "model"),
        PIPELINE_COST: ("pipeline", "model"),
        PIPELINE_AUDIO: ("pipeline",),
        PAID_IN_DOUBT: (),
    }
)
"""Every counter and the labels that it must be given. Labels take few values; never an id."""

GAUGES: Final = frozenset({LAST_CALLBACK, CATALOGUE_HEARD, MODEL_DOUBTS})


class Tally(Protocol):
    """Counts; never blocks."""

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to one of COUNTERS, all of its labels given. Raises KeyError, ValueError: a bug of the caller's."""
        ...

    def gauge(self, name: str, value: float) -> None:
        """Set one of GAUGES. Raises KeyError: a bug of the caller's."""
        ...


class NoTally:
    """Counts nothing: for commands that nobody scrapes."""

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        pass

    def gauge(self, name: str, value: float) -> None:
        pass
