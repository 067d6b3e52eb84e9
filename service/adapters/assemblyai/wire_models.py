"""The catalogue's JSON as our records (vendor API reference: models)."""

from collections.abc import Mapping
from typing import Final

from service.adapters.assemblyai.json_values import Garbled, count, mapping, number, parsed, sequence, text
from service.domain.models.catalogue import Model, Models

MOST: Final = 1000
"""Models that are read of the list; the vendor had 47 (vendor API reference: models)."""
LONGEST_ID: Final = 200


def models(body: bytes | bytearray) -> Models:
    """All models of the list, by id; an entry without a sensible id is passed over. Raises Garbled, also for none."""
    listed = sequence(parsed(body).get("data"))
    found = [_model(mapping(each)) for each in (listed or ())[:MOST]]
    if not (named := {model.id: model for model in found if 0 < len(model.id) <= LONGEST_ID}):
        raise Garbled("it lists no models")
    return named


def _model(told: Mapping[str, object]) -> Model:
    provider = mapping(told.get("top_provider"))
    parameters = sequence(told.get("supported_parameters"))
    pricing = mapping(told.get("pricing"))
    price = mapping(pricing.get("global"))
    return Model(
        id=text(told.get("id")) or "",
        context=count(told.get("context_length")) or count(provider.get("context_length")) or None,
        most_output=count(provider.get("max_completion_tokens")) or None,
        parameters=None if parameters is None else frozenset(map(str, parameters)),
        retires_at=_date(told.get("retirement_date")),
        input_price=number(price.get("prompt")),
        output_price=number(price.get("completions")),
        cache_read_price=number(price.get("input_cache_read")),
        cache_write_price=number(price.get("input_cache_write")),
        regional_surcharge=max(0.0, number(pricing.get("regional_increase_percent")) or 0.0) / 100.0,
    )


def _date(told: object) -> float | None:
    """Epoch seconds; the vendor says 0 where none is set."""
    seconds = number(told)
    return seconds if seconds is not None and seconds > 0 else None
