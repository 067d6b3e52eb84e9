"""Estimates of money: list prices, without the account's discounts, credits or rounding.

Language models: the live catalogue's prices at the time of the answer. Transcription: this table, for no API tells it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from service.domain.durations import HOUR
from service.domain.models.catalogue import Model
from service.domain.use.usage import PLACES, Usage

PRICED_ON: Final = "2026-10-07"
"""The day of the vendor's pricing page that the table is of."""
SPEECH_PER_HOUR: Final[Mapping[str, float]] = MappingProxyType({"universal-3-5-pro": 0.21, "universal-2": 0.15})
"""Dollars for each hour of each channel, by speech model."""
GLOBAL: Final = "global"
"""The `model_region` of a request that may be answered anywhere (vendor API reference: chat completions)."""


def answer_cost(usage: Usage, model: Model, model_region: object = None) -> float | None:
    """Dollars for what a model used; None where the catalogue has no price for it.

    Cached tokens at their own price where there is one. A request that must stay in its region costs the catalogue's
    surcharge more.
    """
    if model.input_price is None or model.output_price is None:
        return None
    cached, written = usage.cached_input_tokens, usage.cache_written_tokens
    plain = max(0, usage.input_tokens - cached - written)
    spent = plain * model.input_price + usage.output_tokens * model.output_price
    spent += cached * (model.input_price if model.cache_read_price is None else model.cache_read_price)
    spent += written * (model.input_price if model.cache_write_price is None else model.cache_write_price)
    surcharge = 0.0 if model_region == GLOBAL else model.regional_surcharge
    return round(spent * (1.0 + surcharge), PLACES)


def speech_cost(audio_seconds: int, speech_model: str | None) -> float | None:
    """Dollars for so many seconds of sound, channels and repetitions counted in; None for a model without a price."""
    price = SPEECH_PER_HOUR.get(speech_model or "")
    return None if price is None else round(audio_seconds / HOUR * price, PLACES)
