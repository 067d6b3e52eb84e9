"""The catalogue's JSON as our records (vendor API reference: models)."""

from collections.abc import Mapping

from service.adapters.assemblyai.json_values import Garbled, count, mapping, number, parsed, sequence, text
from service.domain.catalogue import Model, Models


def models(body: bytes | bytearray) -> Models:
    """All models of the list, by id; an entry without an id is passed over. Raises Garbled."""
    listed = sequence(parsed(body).get("data"))
    if listed is None:
        raise Garbled("it lists no models")
    found = [_model(mapping(each)) for each in listed]
    return {model.id: model for model in found if model.id}


def _model(told: Mapping[str, object]) -> Model:
    provider = mapping(told.get("top_provider"))
    parameters = sequence(told.get("supported_parameters"))
    price = mapping(mapping(told.get("pricing")).get("global"))
    return Model(
        id=text(told.get("id")) or "",
        context=count(told.get("context_length")) or count(provider.get("context_length")) or None,
        most_output=count(provider.get("max_completion_tokens")) or None,
        parameters=None if parameters is None else frozenset(map(str, parameters)),
        retires_at=number(told.get("retirement_date")) or None,
        input_price=number(price.get("prompt")),
        output_price=number(price.get("completions")),
    )
